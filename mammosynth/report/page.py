"""The study's report: one HTML page that needs nothing beside it, for the screen and for print."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from mammosynth import __version__
from mammosynth import study as study_file
from mammosynth.findings import conclusions
from mammosynth.findings.names import NAMES_OF_PARTS, name_of
from mammosynth.findings.ranks import agreement, disagreements, table_ranks
from mammosynth.findings.screens import screens_of, shared_features
from mammosynth.findings.tables import NONE, table_comparisons
from mammosynth.findings.verdicts import Leaks
from mammosynth.quality.measures import Measure, measure_of
from mammosynth.quality.novelty import Verdict
from mammosynth.report import claim
from mammosynth.report.embedded import PAIRED_WIDTH, WIDTH, data_uri
from mammosynth.report.tables import grouped, value_and_interval

TITLE = "Does GAN-made data help a breast-mass classifier?"
PACKAGES = (
    "snakemake", "torch", "torchvision", "torch-fidelity", "numpy", "scipy", "pandas", "scikit-learn",
    "scikit-image", "statsmodels", "matplotlib", "pillow", "ImageHash",
)  # fmt: skip
STAGES = {"rois": "ROIs", "gans": "GANs"}  # of whose files of rules the names are not as people write them
# What a picture shows, for those who cannot see it; its caption is one of workflow/report.
SHOWN = {
    "summary_samples": "Real ROIs beside those of the GAN nearest to them",
    "summary_forest": "Forest plot of the AUROC of mixes with synthetic ROIs minus that of real ROIs alone",
    "flow": "Flow diagram from images to ROIs",
    "contact_sheet": "Sheet of real ROIs",
    "samples": "Real ROIs above those of each GAN",
    "quality": "Bars of each measure by GAN",
    "embedding": "Real and synthetic ROIs, embedded by their features",
    "ranks": "Ranks of the GANs by measure",
    "closest": "Synthetic ROIs beside the training ROIs closest to them",
    "gan_training": "Losses and distances of the GANs by training step",
    "progress": "Samples of a GAN over its training",
    "classifier_training": "Loss and AUROC of the classifier by training step",
    "differences": "Forest plot of the AUROC of each mix minus that of real ROIs alone",
    "doses": "Difference in AUROC by dose",
    "shares": "AUROC by share of the training patients",
    "gains": "Gain in AUROC against measures of quality",
    "roc": "ROC curves",
    "reliability": "Share of malignant ROIs by predicted probability",
    "confusion": "Calls by true class",
    "misses": "The most confident wrong calls",
}

PAIRED = ("progress", "closest")  # kinds of which two stand in a row; see style.css.jinja


@dataclass(frozen=True)
class Section:
    """A section of the page.

    anchor: its id; what it says is in ``section_{anchor}.html.jinja``; figures: kinds of figures that stand below it;
    folded: whether a reader has to open it.
    """

    anchor: str
    title: str
    figures: tuple[str, ...] = ()
    folded: bool = True


SECTIONS = (
    Section("answer", "The answer", folded=False),
    Section("tables", "The paper’s tables", folded=False),
    Section("conclusions", "What can be concluded", folded=False),
    Section("data", "Data", ("flow", "contact_sheet")),
    Section("measures", "All measures", ("samples", "quality", "embedding")),
    Section("ranks", "Ranks of the GANs", ("ranks",)),
    Section("novelty", "Novelty"),
    Section("classifiers", "All scores"),
    Section("trainings", "Trainings", ("gan_training", "progress", "classifier_training")),
    Section("claim", "CLAIM checklist"),
    Section("run", "Settings, versions and cost"),
)


@dataclass
class Study:
    """All that the page shows.

    parts: what `mammosynth.partition.count_parts` returns; rois: ``rois.csv`` of every modality; characteristics: of
    each part, by modality; scores, comparisons, quality: the tidy tables; paper_quality, paper_accuracy: the paper's
    tables; accuracy, decisions, quality_table: all scores and measures; paper: ``resources/paper.csv``;
    devices: what classifiers ran on; times: what :func:`rule_times` returns; figures: files by kind (of ``SHOWN``) and
    modality, those that belong to a GAN (``progress``, ``closest``) or a classifier (``differences``, ``roc``, …; those
    that the study has something for) by its name within; those of the first screen are of all modalities, under "";
    ranks, correlations: see `mammosynth.report.ranks`; verdicts: on each GAN's novelty by modality and name; leaks: on
    images made elsewhere likewise, see `mammosynth.findings.verdicts.leaks`; filtered: what the filter did with each
    synthetic ROI, if the study has one; captions: what ``workflow/report`` says of figures and tables, by kind.
    """

    config: Mapping[str, Any]
    parts: pd.DataFrame
    rois: pd.DataFrame
    characteristics: Mapping[str, pd.DataFrame]
    scores: pd.DataFrame
    quality: pd.DataFrame
    paper_quality: pd.DataFrame
    paper_accuracy: pd.DataFrame
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


@dataclass(frozen=True)
class Picture:
    """A figure on the page. width: pixels at most; of: the GAN or classifier that it belongs to, or ""."""

    path: Path
    alt: str
    caption: str
    width: int
    of: str = ""

    @property
    def files(self) -> dict[str, str]:
        """Its files, from where the report lies, by what they are called: a drawing is a PDF, too."""
        place = Path("..", *self.path.parts[1:]).as_posix()  # both below results/
        types = [self.path.suffix] + ([".pdf"] if self.path.suffix == ".svg" else [])
        return {name[1:].upper(): place.removesuffix(self.path.suffix) + name for name in types}


def pictures(study: Study, kind: str) -> Iterator[Picture]:
    """The figures of a kind that the study has, by modality."""
    for modality, found in study.figures.get(kind, {}).items():
        for name, path in found.items() if isinstance(found, Mapping) else [("", found)]:
            of = "".join(f"{part}. " for part in [", ".join(filter(None, [modality.capitalize(), name]))] if part)
            alt, caption = f"{of}{SHOWN[kind]}", f"{of}{study.captions[kind]}"
            yield Picture(Path(path), alt, caption, PAIRED_WIDTH if kind in PAIRED else WIDTH, name)


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


def rule_times(benchmarks: Mapping[str, Mapping[str, Iterable[str | Path]]]) -> pd.DataFrame:
    """Jobs, wall time (sum and longest, s) and peak memory (MB) of each rule, by stage.

    benchmarks: the benchmark files of this study's jobs by stage and rule; those that are not there are left out.
    """
    rows = []
    for stage, rules in benchmarks.items():
        for rule, files in rules.items():
            for file in filter(Path.exists, map(Path, files)):
                job = pd.read_csv(file, sep="\t", na_values=["-", "NA"]).iloc[-1]
                rows.append({"stage": stage, "rule": rule, "seconds": job["s"], "memory": job["max_rss"]})
    jobs = pd.DataFrame(rows, columns=["stage", "rule", "seconds", "memory"])
    times = jobs.groupby(["stage", "rule"], sort=False).agg(
        jobs=("seconds", "size"), total=("seconds", "sum"), longest=("seconds", "max"), memory=("memory", "max")
    )
    return times.reset_index()


def cost(times: pd.DataFrame) -> pd.DataFrame:
    """What :func:`rule_times` returns as a table to read: the stages, then the rules of each."""
    stages = times.groupby("stage", sort=False).agg(
        jobs=("jobs", "sum"), total=("total", "sum"), longest=("longest", "max"), memory=("memory", "max")
    )
    rows = pd.concat([stages.rename_axis("rule").reset_index().assign(stage="all stages"), times])
    return pd.DataFrame(
        {
            "stage": rows["stage"].replace(STAGES),
            "stage or rule": rows["rule"].replace(STAGES),
            "jobs": rows["jobs"],
            "wall time of all jobs (s)": rows["total"].map("{:.1f}".format),
            "longest job (s)": rows["longest"].map("{:.1f}".format),
            "peak memory (MB)": rows["memory"].map(lambda size: NONE if pd.isna(size) else f"{size:.0f}"),
        }
    )


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
    jinja.filters |= {"data_uri": data_uri, "grouped": grouped, "value_and_interval": value_and_interval}
    jinja.globals["zip"] = zip
    return jinja


def write_paper_tables(
    tables: Mapping[str, pd.DataFrame],
    captions: Mapping[str, str],
    config: Mapping[str, Any],
    paper: pd.DataFrame,
    path: str | Path,
) -> None:
    """Write a page with the paper's two tables, by the names ``quality`` and ``accuracy``."""
    page = environment().get_template("paper_tables.html.jinja")
    shown = page.render(tables, captions=captions, phantoms=conclusions.phantoms_of(config), sources=sources_of(paper))
    Path(path).write_text(shown, encoding="utf-8")


def sources_of(paper: pd.DataFrame) -> list[str]:
    """Where reported values were read, up to the DOI."""
    return list(dict.fromkeys(paper["source"].str.replace(r"(doi:[^,]+).*", r"\1", regex=True)))


def render(study: Study) -> str:
    """The page as HTML."""
    jinja, known = environment(), context(study)
    jinja.filters["linked"] = partial(claim.linked, titles={section.anchor: section.title for section in SECTIONS})
    checklist = claim.fill(jinja, known)
    return jinja.get_template("page.html.jinja").render(known, sections=SECTIONS, checklist=checklist)


def context(study: Study) -> dict[str, Any]:
    """What templates say of the study."""
    modalities = list(dict.fromkeys(study.scores["modality"]))
    screens = screens_of(study.config)
    trained = [name for name in study.config["classify_with"] if name not in screens]
    once = bool((study.scores["runs"] == 1).all())
    return {
        "title": TITLE,
        "subtitle": _extent(study.config, modalities),
        "reading": _reading(study.config, once),
        "study": study,
        "config": study.config,
        "captions": study.captions,
        "modalities": modalities,
        "trained_gans": study_file.trained(study.config),
        "phantoms": conclusions.phantoms_of(study.config),
        "external": study.config.get("external", []),
        "name_of": name_of,
        "pictures": partial(pictures, study),
        "groups": [_group(study, names, modalities) for names in (trained, screens) if names],
        "shared_features": shared_features(study.config),
        "nearest": {modality: conclusions.nearest(modality, study.quality, study.config) for modality in modalities},
        "caveats": [
            *conclusions.caveats(study.scores, study.quality, study.config, study.leaks),
            _on_verdicts(study.config),
        ],
        "parts": study.parts.replace({"part": NAMES_OF_PARTS}),
        "characteristics": _characteristics(study.characteristics),
        "exclusions": count_exclusions(study.rois),
        "filtered": None if study.filtered is None else count_filtered(study.filtered),
        "pooled": _rows(study.quality_table, "class", ["all"]),
        "by_class": _rows(study.quality_table, "class", ["benign", "malignant"]),
        "ranks": table_ranks(study.ranks),
        "agreements": {modality: _agreement(study.correlations, modality) for modality in modalities},
        "measures": explained(study.quality["measure"].unique()),
        "once": once,
        "sources": sources_of(study.paper),
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cost": cost(study.times),
        "yaml": yaml.safe_dump(study.config, sort_keys=False, allow_unicode=True, width=110),
    }


def _extent(config: Mapping[str, Any], modalities: list[str]) -> str:
    """How large the study is."""
    counts = {"GAN": config["gans"], "mix": config["mixes"], "classifier": config["classify_with"]}
    sizes = [_counted(len(of), name) for name, of in counts.items()]
    folds = f"{len(config['folds'])} of {config['partition']['folds']} folds"
    return " · ".join([" and ".join(modalities).capitalize(), *sizes, folds, _counted(len(config["seeds"]), "seed")])


def _counted(n: int, name: str) -> str:
    return f"{n} {name}" + ("" if n == 1 else "es" if name.endswith("x") else "s")


def _reading(config: Mapping[str, Any], once: bool) -> str:
    """How the numbers of the answer are to be read."""
    resamples, over = config["statistics"]["resamples"], "seeds" if len(config["seeds"]) > 1 else "folds"
    chances = (
        f"from resampled patients ({resamples} resamples)"
        if once
        else f"of which patients are tested ({resamples} resamples) and of how trainings went (from their spread over "
        f"{over})"
    )
    return (
        "AUROC: the chance that the classifier ranks a malignant ROI above a benign one; 0.5 is guessing, 1 is "
        f"perfect. Brackets are 95 % intervals: {chances}; p values are of paired differences against real ROIs alone, "
        "adjusted (Holm) for the number of mixes that a classifier was trained on in a modality."
    )


def _on_verdicts(config: Mapping[str, Any]) -> str:
    return (
        "A mix is called better or worse than real ROIs only if its interval leaves out 0 and its adjusted p is below "
        "0.05; what that is of is said above: the networks of one run, or the mean of several. “Cannot be told” does "
        "not mean “no effect”: that is shown only where a mix is said to change the AUROC by less than "
        f"{config['statistics']['equivalence_margin']}, the margin of this study."
    )


def _characteristics(of_modalities: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Characteristics of each part as one table, each row headed by what it is of."""
    frames = []
    for modality, table in of_modalities.items():
        level = table["level"].where(table["level"] == "", ": " + table["level"].astype(str))
        heads = table["characteristic"] + level
        frames.append(table.drop(columns=["characteristic", "level"]).assign(modality=modality, of=heads))
    joined = pd.concat(frames).fillna(NONE)
    first = ["modality", "of"]
    ordered = joined[first + [column for column in joined if column not in first]]
    return ordered.rename(columns={"of": "characteristic", **NAMES_OF_PARTS})


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
