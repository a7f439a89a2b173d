"""The databases: one reader each, all of which yield the same lesion records.

A new database is one new file with `read` and `NEAR_DUPLICATES`, and one line in `READERS`.
"""

import logging
from dataclasses import replace
from pathlib import Path

from mammosynth.databases import breast_lesions_usg, bus_bra, busi, cbis_ddsm, inbreast, mini_mias, rois, table, udiat
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, expand
from mammosynth.errors import InputError

log = logging.getLogger(__name__)

READERS = {
    "breast_lesions_usg": breast_lesions_usg,
    "bus_bra": bus_bra,
    "busi": busi,
    "cbis_ddsm": cbis_ddsm,
    "inbreast": inbreast,
    "mini_mias": mini_mias,
    "rois": rois,
    "table": table,
    "udiat": udiat,
}


def phantoms_root(name: str) -> Path:
    """Where the workflow lays the phantoms of a source, below the study's folder."""
    return Path("results", "phantoms", name)


def open_source(name: str, settings: dict) -> Source:
    """A database of the config: at its *root*, or where its *phantoms* were made.

    Raises InputError if the root does not exist or names an environment variable that is not set.
    """
    key = f"sources: {name}: root"
    root = phantoms_root(name) if "phantoms" in settings else expand(settings["root"], key)
    if not root.is_dir():
        if "download" in settings:
            raise InputError(f"{root} is no folder any more: delete {root}.csv and run again, to download it")
        raise InputError(f'{root} is no folder: mend {key} in the config, which is "{settings.get("root", root)}"')
    return Source(name, settings, root)


def read_database(source: Source) -> Reading:
    """The lesions of one database and its images without a lesion, each patient in one spelling.

    Raises InputError for bad files, and where it is not clear who the patients are: see `Patients`.
    """
    reading = READERS[source.settings["reader"]].read(source)
    by_row = {"", *reading.patients.spellings}
    problems, patients = Problems(), []
    for lesion in reading.lesions:
        with problems.gathered():
            known = lesion.patient_id in by_row
            patients.append(lesion.patient_id if known else reading.patients.name(lesion.patient_id, lesion.image))
    problems.refuse()
    joined = [" and ".join(map(ascii, texts)) for texts in reading.patients.spellings.values() if len(texts) > 1]
    if joined:
        log.warning(
            "%s: %d patients are spelled in several ways that are certainly one: %s",
            source.name, len(joined), "; ".join(joined),
        )  # fmt: skip
    lesions = [replace(lesion, patient_id=patient) for lesion, patient in zip(reading.lesions, patients)]
    return replace(reading, lesions=lesions)


def near_duplicate_bits(settings: dict) -> int | None:
    """Up to how many of 256 bits near-duplicates of a source may differ: its setting, else its reader's; None = off."""
    return settings.get("near_duplicates", READERS[settings["reader"]].NEAR_DUPLICATES)


__all__ = [
    "READERS", "Lesion", "Problems", "Reading", "Source", "expand", "near_duplicate_bits", "open_source",
    "phantoms_root",
]  # fmt: skip
