"""The study's report: one HTML page that needs nothing beside it, for the screen and for print."""

import base64
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from mammosynth import __version__
from mammosynth.findings import conclusions
from mammosynth.findings.names import NAMES_OF_PARTS, name_of
from mammosynth.findings.ranks import agreement, disagreements, table_ranks
from mammosynth.findings.screens import screens_of, shared_features
from mammosynth.findings.tables import table_comparisons
from mammosynth.findings.verdicts import Leaks
from mammosynth.quality.measures import Measure, measure_of
from mammosynth.quality.novelty import Verdict

PACKAGES = (
    "snakemake", "torch", "torchvision", "torch-fidelity", "numpy", "scipy", "pandas", "scikit-learn",
    "scikit-image", "statsmodels", "matplotlib", "pillow", "ImageHash",
)  # fmt: skip
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass
class Study:
    """All that the page shows.

    parts: what `mammosynth.partition.count_parts` returns; rois: ``rois.csv`` of every modality;
    scores, comparisons, quality: the tidy tables; accuracy, decisions, quality_table: the paper-shaped ones; paper:
    ``resources/paper.csv``;
    devices: what classifiers ran on; times: what :func:`rule_times` returns; figures: files by kind (``samples``,
    ``quality``, ``gan_training``, ``contact_sheet``, …) and modality, those that belong to a GAN (``progress``,
    ``closest``) or a classifier (``differences``, ``roc``, …; those that the study has something for) by its name
    within;
    ranks, correlations: see `mammosynth.report.ranks`; verdicts: on each GAN's novelty by modality and name; leaks: on
    images made elsewhere likewise, see `mammosynth.findings.verdicts.leaks`; filtered:
    what the filter did with each synthetic ROI, if the study has one; captions: what ``workflow/report`` says below
    figures, by kind, and above tables (``table_accuracy``, ``table_decisions``, ``comparisons``, ``table_quality``).
    """

    config: Mapping[str, Any]
    parts: pd.DataFrame
    rois: pd.DataFrame
    scores: pd.DataFrame
    quality: pd.DataFrame
    accuracy: pd.DataFrame
    decisions: pd.DataFrame
    comparisons: pd.DataFrame
    quality_table: pd.DataFrame
    ranks: pd.DataFrame
    correlations: pd.DataFrame
    verdicts: Mapping[str, Mapping[str, Verdict]]
    paper: pd.DataFrame
    devices: list[str]
    times: pd.DataFrame
    figures: Mapping[str, Mapping[str, Any]]
    captions: Mapping[str, str]
    filtered: pd.DataFrame | None = None
    leaks: Mapping[str, Mapping[str, Leaks]] = field(default_factory=dict)


def data_uri(path: str | Path) -> str:
    """An image file as a URI that holds it."""
    content = base64.b64encode(Path(path).read_bytes()).decode()
    return f"data:{TYPES[Path(path).suffix]};base64,{content}"


def _agreement(correlations: pd.DataFrame, modality: str) -> tuple[list[str], list[str]]:
    """Whether measures agree on the order of generators, and the pairs that do not."""
    of_modality = correlations[correlations["modality"] == modality]
    return agreement(of_modality), disagreements(of_modality)


def count_exclusions(rois: pd.DataFrame) -> pd.DataFrame:
    """Lesions by database and outcome: used, or the reason of exclusion."""
    outcome = rois["excluded"].fillna("").astype(str).replace("", "used")
    counts = rois.assign(outcome=outcome).groupby(["modality", "database", "outcome"], sort=False).size()
    return counts.rename("lesions").reset_index()


def count_filtered(filtered: pd.DataFrame) -> pd.DataFrame:
    """Synthetic ROIs by modality, GAN, class and outcome: passed to classifiers, or the reason why not.

    filtered: what `mammosynth.quality.filter.filter_images` returns, of all runs, with ``modality`` and ``generator``.
    """
    outcome = filtered["dropped"].fillna("").replace("", "passed")
    keys = {"modality": filtered["modality"], "GAN": filtered["generator"].map(name_of), "class": filtered["pathology"]}
    counts = pd.DataFrame({**keys, "outcome": outcome}).value_counts(sort=False).rename("synthetic ROIs").reset_index()
    share = counts["synthetic ROIs"] / counts.groupby(["modality", "GAN", "class"])["synthetic ROIs"].transform("sum")
    return counts.assign(**{"% of the class": (100 * share).map("{:.1f}".format)})


def rule_times(benchmarks: Mapping[str, Iterable[str | Path]]) -> pd.DataFrame:
    """Jobs, wall time (sum and longest, s) and peak memory (MB) of each rule.

    benchmarks: the benchmark files of this study's jobs by rule; those that are not there are left out.
    """
    rows = []
    for rule, files in benchmarks.items():
        for file in filter(Path.exists, map(Path, files)):
            job = pd.read_csv(file, sep="\t", na_values=["-", "NA"]).iloc[-1]
            rows.append({"rule": rule, "seconds": job["s"], "memory": job["max_rss"]})
    jobs = pd.DataFrame(rows, columns=["rule", "seconds", "memory"])
    times = jobs.groupby("rule").agg(
        jobs=("seconds", "size"), total=("seconds", "sum"), longest=("seconds", "max"), memory=("memory", "max")
    )
    return times.sort_values("total", ascending=False).reset_index()


def versions() -> dict[str, str]:
    """Versions of what computed the numbers."""
    found = {distribution.metadata["Name"].lower(): distribution.version for distribution in metadata.distributions()}
    return {"mammosynth": __version__, "Python": platform.python_version()} | {
        name: found[name.lower()] for name in PACKAGES if name.lower() in found
    }


def write(study: Study, path: str | Path) -> None:
    """Write the page of *study* to *path*."""
    Path(path).write_text(render(study), encoding="utf-8")


def environment() -> jinja2.Environment:
    """What the templates of this folder are rendered with."""
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    jinja.filters["data_uri"] = data_uri
    jinja.globals["zip"] = zip
    return jinja


def render(study: Study) -> str:
    """The page as HTML."""
    modalities = list(dict.fromkeys(study.scores["modality"]))
    screens = screens_of(study.config)
    trained = [name for name in study.config["classify_with"] if name not in screens]
    phantoms = conclusions.phantoms_of(study.config)
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            study=study,
            modalities=modalities,
            phantoms=phantoms,
            external=study.config.get("external", []),
            name_of=name_of,
            groups=[_group(study, names, modalities) for names in (trained, screens) if names],
            shared_features=shared_features(study.config),
            nearest={modality: conclusions.nearest(modality, study.quality, study.config) for modality in modalities},
            caveats=conclusions.caveats(study.scores, study.quality, study.config, study.leaks),
            parts=study.parts.replace({"part": NAMES_OF_PARTS}),
            exclusions=count_exclusions(study.rois),
            filtered=None if study.filtered is None else count_filtered(study.filtered),
            pooled=_rows(study.quality_table, "class", ["all"]),
            by_class=_rows(study.quality_table, "class", ["benign", "malignant"]),
            ranks=table_ranks(study.ranks),
            agreements={modality: _agreement(study.correlations, modality) for modality in modalities},
            measures=explained(study.quality["measure"].unique()),
            sources=list(dict.fromkeys(source.rpartition(", ")[0] for source in study.paper["source"])),
            versions=versions(),
            machine=f"{platform.system()} {platform.machine()}",
            yaml=yaml.safe_dump(study.config, sort_keys=False, allow_unicode=True, width=110),
        )
    )


def _group(study: Study, names: list[str], modalities: list[str]) -> dict[str, Any]:
    """What the page shows of some classifiers together: of the trained networks, or of the screens."""
    titles = [name_of(name) for name in names]
    scores = study.scores[study.scores["classifier"].isin(names)]
    comparisons = study.comparisons[study.comparisons["classifier"].isin(names)]

    def own(table: pd.DataFrame) -> pd.DataFrame:
        return _rows(table, "classifier", titles) if "classifier" in table else table

    return {
        "screens": names == screens_of(study.config),
        "names": titles,
        "answers": {modality: conclusions.answers(modality, scores) for modality in modalities},
        "accuracy": own(study.accuracy),
        "decisions": own(study.decisions),
        "comparisons": table_comparisons(comparisons),
    }


def explained(names: Iterable[str]) -> list[tuple[str, Measure]]:
    """Measures that share an explanation, joined, with it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        measure = measure_of(name)
        if measure.explanation:
            groups.setdefault((measure.explanation, measure.better), []).append(name)
    return [(", ".join(group), measure_of(group[0])) for group in groups.values()]


def _rows(table: pd.DataFrame, column: str, values: Iterable[str]) -> pd.DataFrame:
    chosen = table[table[column].isin(list(values))]
    return chosen.drop(columns=column) if len(list(values)) == 1 else chosen
