"""An assessment for people: sentences, a table for the terminal, a page and a JSON file.

`describe` -> one dictionary: the JSON file, and all that the page is drawn from beside pictures.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mammosynth import __version__
from mammosynth.assessment import REAL, SYNTHETIC, Assessment
from mammosynth.classifiers.validation import YOUDEN
from mammosynth.exchange import Given
from mammosynth.findings.names import name_of
from mammosynth.findings.tables import number, with_interval
from mammosynth.quality.measures import HELD_OUT, OfFloor, find, measure_of, measures_of
from mammosynth.report.figures_of_gans import plot_closest_pairs
from mammosynth.report.page import explained, versions
from mammosynth.report.scorecard import card_environment, check_measures, list_measures, sample

FORMAT = 1  # of the JSON file
SCORES = ("AUROC", "balanced accuracy")
NEAR_BY = 1.0  # floor/FD from which synthetic images are as near as other patients' real ones
MIX_TITLES = {REAL: "real", SYNTHETIC: "synthetic", f"{REAL}+{SYNTHETIC}": "real + synthetic"}
COLUMNS = ("measure", "synthetic", "real images", "which real images", "n synthetic / real")


def describe(found: Assessment) -> dict[str, Any]:
    """The content of the JSON file; measures are as ``scorecard.schema.json`` says."""
    measures = list_measures(found.measures.assign(modality=""), SYNTHETIC)
    check_measures(measures)
    return {
        "format": FORMAT,
        "version": __version__,
        "versions": versions(),
        "title": "synthetic",
        "real": _counts(found.real, found.labelled),
        "synthetic": _counts(found.synthetic, found.labelled),
        "held_out": _counts(found.held_out, found.labelled) if found.held_out else None,
        "warnings": found.warnings,
        "findings": findings(found),
        "measures": measures,
        "novelty": {"memorising": found.novelty.memorising, "sentence": found.novelty.reason},
        "utility": _utility(found.utility),
        "limits": found.limits,
    }


def _counts(given: Given, labelled: bool) -> dict[str, Any]:
    images = given.images
    height, width = images.images.shape[1:]
    counts = {name: len(images.of_class(name)) for name in images.classes} if labelled else {}
    return {"place": given.place, "images": len(images), **counts, "width": int(width), "height": int(height)}


def _utility(scores: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Scores of the probes of each mix."""
    if scores is None:
        return []
    columns = ["mix", "measure", "value", "low", "high", "difference", "difference_low", "difference_high", "p"]
    chosen = scores[_looked_at(scores)][[*columns, "n", "n_patients", "runs"]]
    return [{key: None if pd.isna(value) else value for key, value in row.items()} for row in chosen.to_dict("records")]


def _looked_at(scores: pd.DataFrame) -> pd.Series:
    return scores["measure"].isin(SCORES) & (scores["threshold"].isna() | (scores["threshold"] == YOUDEN))


def findings(found: Assessment) -> list[str]:
    """The assessment in sentences: nearness, copies, what a probe gains."""
    ratio = next(measures_of(OfFloor)).name
    sentences = []
    for row in found.measures[
        (found.measures["generator"] == SYNTHETIC) & (found.measures["pathology"] == "all")
    ].itertuples():
        measure, network = find(row.measure)
        if measure.name == ratio and network is not None and not pd.isna(row.value):
            far = with_interval(*(number(1 / value) for value in (row.value, row.high, row.low)))
            title = row.measure.partition("(")[2].rstrip(")")
            sentences.append(
                f"Synthetic images lie {far} times as far from real ones as real images of other patients do (Fréchet "
                f"distance{f', {title}' if title else ''})."
            )
    copies = "They give real images back." if found.novelty.memorising else "No sign that they are copies."
    sentences.append(f"{copies} {found.novelty.reason}")
    return sentences + ([_of_utility(found.utility)] if found.utility is not None else [])


def _of_utility(scores: pd.DataFrame) -> str:
    """What probes gain, in a sentence."""
    auroc = scores[scores["measure"] == "AUROC"].set_index("mix")
    real, both = auroc.loc[REAL], auroc.loc[f"{REAL}+{SYNTHETIC}"]
    text = {
        mix: with_interval(*(number(row[key]) for key in ("value", "low", "high"))) for mix, row in auroc.iterrows()
    }
    difference = with_interval(*(number(both[f"difference{end}"], 2) for end in ("", "_low", "_high")))
    return (
        f"Probes tested on {real['n']} real images of {real['n_patients']} patients reach an AUROC of "
        f"{text[SYNTHETIC]} when trained on synthetic images, {text[REAL]} on real ones and {text[both.name]} on both: "
        f"a difference of {difference} from real ones alone."
    )


def table(found: Assessment) -> pd.DataFrame:
    """Measures of both classes together with what real images reach: columns ``COLUMNS``, all text."""
    rows = []
    for measure in list_measures(found.measures.assign(modality=""), SYNTHETIC):
        if measure["pathology"] == "all":
            reference = measure_of(measure["measure"]).reference
            real = measure[reference]
            n_real = measure["n_reference"] or (real or {}).get("n", "–")
            name = f"{measure['measure']} {measure_of(measure['measure']).arrow}".strip()
            which = titles(found).get(reference, name_of(reference)) if real else "–"
            rows.append((name, _cell(measure), _cell(real), which, f"{measure['n']} / {n_real}"))
    return pd.DataFrame(rows, columns=COLUMNS)


def table_of_utility(found: Assessment) -> pd.DataFrame:
    """Scores of probes by mix, all text."""
    rows = []
    for row in _utility(found.utility):
        value, difference = (
            with_interval(*(number(np.nan if row[key] is None else row[key]) for key in keys))
            for keys in (("value", "low", "high"), ("difference", "difference_low", "difference_high"))
        )
        rows.append((MIX_TITLES[row["mix"]], row["measure"], value, difference, f"{row['n']} / {row['n_patients']}"))
    return pd.DataFrame(rows, columns=["trained on", "score", "value", "difference from real", "n images / patients"])


def _cell(numbers: Mapping[str, Any] | None) -> str:
    values = [np.nan if numbers is None or numbers[key] is None else numbers[key] for key in ("value", "low", "high")]
    return with_interval(*map(number, values))


def titles(found: Assessment) -> dict[str, str]:
    """What the columns of real images are called, where not as in a study."""
    return {} if found.held_out else {HELD_OUT: "other patients"}


def plot_closest(found: Assessment) -> Figure:
    """The synthetic images that are closest to a real one, above held-out ones or real ones of other patients."""
    synthetic, other, limits = found.nearest
    beside = (found.held_out or found.real).images.images
    real = found.real.images.images
    made, name = found.synthetic.images.images, titles(found).get(HELD_OUT, name_of(HELD_OUT))
    return plot_closest_pairs("", SYNTHETIC, (made, synthetic), (beside, other), real, limits, beside=name)


def render(found: Assessment, card: Mapping[str, Any], closest: str | Path) -> str:
    """The page as HTML; closest: the file of `plot_closest`."""
    jinja = card_environment()
    jinja.filters["name_of"] = lambda name: titles(found).get(name, name_of(name))
    samples = sample(found.real.images, found.synthetic.images)
    return jinja.get_template("assessment.html.jinja").render(
        card=card,
        phantoms=[],
        samples=samples if found.labelled else {"": next(iter(samples.values()))},
        closest=closest,
        utility=table_of_utility(found),
        measures=explained(dict.fromkeys(m["measure"] for m in card["measures"])),
    )


def write(found: Assessment, folder: str | Path) -> None:
    """Write ``scorecard.html`` and ``scorecard.json`` into a folder."""
    import tempfile

    from mammosynth.report.figures import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    card = describe(found)
    text = json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "scorecard.json").write_text(text + "\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        closest = Path(temporary, "closest.png")
        save(plot_closest(found), closest)
        (folder / "scorecard.html").write_text(render(found, card, closest), encoding="utf-8")
