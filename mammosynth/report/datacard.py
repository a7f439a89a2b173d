"""A page on the data of a modality: what they are and on what terms, what became of them, what is not known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mammosynth import __version__, nuisances, study
from mammosynth.curation import ALIKE, REVIEWED
from mammosynth.databases import database_of, miscounted, near_duplicate_bits
from mammosynth.databases.database import Database
from mammosynth.databases.patients import says_nothing
from mammosynth.findings import conclusions
from mammosynth.findings.names import NAMES_OF_PARTS
from mammosynth.findings.tables import NONE, decimals, number, with_interval
from mammosynth.report.curation import find_groups, in_conflict, read_ages
from mammosynth.report.page import environment

OWN = "not known here: that of the images' makers"
NAMED = 20  # joined pairs that a page names
PHANTOM = Database(
    near_duplicates=None,
    title="phantoms",
    licence="made by mammosynth, free of terms",
    citation="none: no clinical data",
)


@dataclass(frozen=True)
class Facts:
    """What a data card is written from.

    modality: a name in *config*, the study's resolved configuration; images, rois, alike: as
    `mammosynth.report.curation` takes them; characteristics: of its `characterise` for *fold*; figure: the file of its
    flow diagram.
    """

    modality: str
    config: Mapping[str, Any]
    images: pd.DataFrame
    rois: pd.DataFrame
    alike: pd.DataFrame
    characteristics: pd.DataFrame
    fold: int
    figure: str | Path


def describe(facts: Facts) -> dict[str, Any]:
    """All that the page says in words and tables."""
    names = study.sources_of(facts.config, facts.modality)
    trained_on = study.databases_of(facts.config, facts.modality)
    groups = find_groups(facts.images)
    return {
        "version": __version__,
        "modality": facts.modality,
        "phantoms": conclusions.phantoms_of(facts.config, facts.modality),
        "databases": [_database(facts, name) for name in names],
        "exclusions": _exclusions(facts.rois),
        "groups": len(groups),
        "grouped": sum(map(len, groups)),
        "conflicts": sum(map(in_conflict, groups)),
        "largest": max(map(len, groups), default=0),
        "alike": _alike(facts.alike),
        "rois": facts.config["rois"],
        "folds": facts.config["partition"]["folds"],
        "fold": facts.fold,
        "characteristics": facts.characteristics.rename(columns=NAMES_OF_PARTS),
        "nuisances": _nuisances(facts.rois[(facts.rois["excluded"] == "") & facts.rois["database"].isin(trained_on)]),
        "unknown": unknown(facts),
    }


def _database(facts: Facts, name: str) -> dict[str, Any]:
    """Terms and counts of one database."""
    settings = facts.config["sources"][name]
    terms = PHANTOM if "phantoms" in settings else database_of(settings["reader"])
    images, lesions = (table[table["database"] == name] for table in (facts.images, facts.rois))
    used = lesions[lesions["excluded"] == ""]
    return {
        "name": name,
        "external": name not in facts.config["databases"],
        "title": terms.title or name,
        "licence": terms.licence or OWN,
        "citation": terms.citation or OWN,
        "images": len(images),
        "lesions": len(lesions),
        "used": len(used),
        # as the flow counts them: patients who share a lesion are one
        "patients": used["group"].nunique() if (used["patient_id"] != "").any() else None,
        "bits": near_duplicate_bits(settings),
    }


def _alike(pairs: pd.DataFrame) -> dict[str, Any]:
    """What is said of ROIs of different patients or groups that look alike."""
    joined = pairs[pairs["joined"]]
    return {
        "joined": [f"{pair.first} = {pair.second} ({pair.correlation:.2f})" for pair in joined[:NAMED].itertuples()],
        "unnamed": max(len(joined) - NAMED, 0),
        "to_review": len(pairs) - len(joined),
        "limit": ALIKE,
        "reviewed": REVIEWED,
    }


def _exclusions(rois: pd.DataFrame) -> list[dict[str, Any]]:
    """Excluded lesions by database and reason, the most frequent first."""
    excluded = rois[rois["excluded"] != ""]
    counts = excluded.groupby(["database", "excluded"], sort=False).size().sort_values(ascending=False, kind="stable")
    return [{"database": database, "reason": reason, "lesions": int(n)} for (database, reason), n in counts.items()]


def _nuisances(rois: pd.DataFrame) -> dict[str, Any]:
    """What tells the classes of the ROIs used apart without the lesion: class by class, and as AUROC."""
    judged = {
        row.nuisance: with_interval(*(decimals(value) for value in (row.auroc, row.low, row.high)))
        for row in nuisances.judge(rois).itertuples()
    }
    compared = nuisances.compare(rois)
    first = ~compared["nuisance"].duplicated()
    return {
        "rois": len(rois),
        "patients": rois["group"].nunique(),
        "rows": [
            (row.nuisance, row.what, number(row.benign), number(row.malignant), judged.get(row.nuisance, NONE))
            if named
            else ("", row.what, number(row.benign), number(row.malignant), "")
            for row, named in zip(compared.itertuples(), first)
        ],
        "all": judged.get(nuisances.ALL),
    }


def unknown(facts: Facts) -> list[str]:
    """What the databases do not tell, and what was not looked for: sentences."""
    lesions = facts.rois[facts.rois["excluded"] == ""]
    sentences = []
    without = lesions[lesions["patient_id"] == ""]
    if len(without):
        sentences.append(
            f"Who the patients are: {_names(without)} gives none for {len(without)} ROIs. Near-duplicate groups stand "
            "in for them, so that two unlike images of one patient may lie in different parts"
        )
    told = {"view": lesions["view"] != "", "birads": lesions["birads"] != ""}
    told["age"] = ~lesions["age"].map(says_nothing).astype(bool)
    for column, what in (("age", "The patients' age"), ("view", "The view"), ("birads", "The BI-RADS category")):
        without = lesions[~told[column]]
        if len(without):
            some = f" for {len(without)} of {len(lesions)} ROIs" if len(without) < len(lesions) else ""
            sentences.append(f"{what}: not read{some} ({_names(without)})")
    for name in study.sources_of(facts.config, facts.modality):
        settings = facts.config["sources"][name]
        if "phantoms" not in settings and (tried := database_of(settings["reader"]).tried):
            sentences.append(f"How far {name} is read rightly: it was tried on {tried}")
        lesions_of = facts.rois.loc[facts.rois["database"] == name, "pathology"]
        if found := miscounted(settings, lesions_of.value_counts()):
            sentences.append(f"Why {name} has {found}")
    for remark, of_remark in lesions[lesions["remark"] != ""].groupby("remark", sort=False):
        sentences.append(
            f"Whether {len(of_remark)} ROIs ({_names(of_remark)}), such as {of_remark['lesion_id'].iloc[0]}, show the "
            f"right place: {remark} (column remark of rois.csv)"
        )
    unread = lesions[told["age"] & read_ages(lesions["age"]).isna()]
    if len(unread):
        sentences.append(
            f"The patients' age of {len(unread)} ROIs ({_names(unread)}), which is no number of years, such as "
            f'"{unread["age"].iloc[0]}"'
        )
    unsearched = [
        name
        for name in study.sources_of(facts.config, facts.modality)
        if near_duplicate_bits(facts.config["sources"][name]) is None
    ]
    if unsearched:
        sentences.append(f"Whether images of {', '.join(unsearched)} are near-duplicates of others: not looked for")
    return [
        *sentences,
        "The size of lesions in millimetres: pixel spacing is not read",
        "Whether labels are proven by biopsy, and which devices, sites and populations the images are of: see the "
        "databases' own papers",
        "Whether a pathology or an outline is wrong where no near-duplicate contradicts it",
    ]


def _names(lesions: pd.DataFrame) -> str:
    return ", ".join(lesions["database"].unique())


def write(facts: Facts, caption: str, path: str | Path) -> None:
    """Write the page to *path*; caption: what the table of characteristics holds."""
    card = describe(facts)
    template = environment().get_template("datacard.html.jinja")
    html = template.render(card=card, phantoms=card["phantoms"], figure=facts.figure, caption=caption)
    Path(path).write_text(html, encoding="utf-8")
