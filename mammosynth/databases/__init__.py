"""The databases: one reader each, all of which yield the same lesion records.

A new database is one new file with `read` and `NEAR_DUPLICATES`, and one line in `READERS`.
"""

import logging
import os
from dataclasses import replace
from pathlib import Path

from mammosynth.databases import breast_lesions_usg, bus_bra, busi, cbis_ddsm, inbreast, mini_mias, rois, table, udiat
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, expand
from mammosynth.databases.patient_lists import join_listed
from mammosynth.errors import InputError
from mammosynth.fingerprint import refuse_unreadable

LISTS = ("exclusions", "patients")  # settings of any source that name a file
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

    Raises InputError if the root does not exist, names an unset environment variable, or has a folder that may
    not be looked into.
    """
    key = f"sources: {name}: root"
    root = phantoms_root(name) if "phantoms" in settings else expand(settings["root"], key)
    if not root.is_dir():
        if "download" in settings:
            raise InputError(f"{root} is no folder any more: delete {root}.csv and run again, to download it")
        raise InputError(f'{root} is no folder: mend {key} in the config, which is "{settings.get("root", root)}"')
    refuse_unreadable(root)
    return Source(name, settings, root)


def find_lists(name: str, settings: dict, shipped: str | Path) -> dict[str, str]:
    """Where those settings of a source that are lists lie: in the working directory, or among those that are *shipped*.

    Raises InputError if one lies nowhere, or names an environment variable that is not set.
    """
    found = {}
    for setting in filter(settings.get, LISTS):
        key = f"sources: {name}: {setting}"
        path = expand(settings[setting], key)
        places = [place for place in (path, Path(shipped, path)) if place.is_file()]
        if not places:
            raise InputError(f'config: {key} is "{settings[setting]}", which is no file: mend the path, or make it')
        found[setting] = str(places[0])
    return found


def read_database(source: Source) -> Reading:
    """The lesions of one database and its images without a lesion, each patient in one spelling.

    Raises InputError for bad files, and where it is not clear who the patients are: see `Patients` and `join_listed`.
    """
    source.read_lists()
    reading = READERS[source.settings["reader"]].read(source)
    named = [part for lesion in reading.lesions for part in (lesion.image, *lesion.mask.split(";"))]
    _refuse_undecoded([*named, *map(str, reading.normals), *map(str, reading.passed_over)])
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
    return replace(reading, lesions=join_listed(lesions, source.patients, reading.patients))


def _refuse_undecoded(names: list[str]) -> None:
    """Raise InputError if a name is not UTF-8, for then no table could hold it."""
    broken = []
    for name in dict.fromkeys(names):
        try:
            name.encode()
        except UnicodeEncodeError:
            broken.append(os.fsencode(name).decode(errors="backslashreplace"))
    if broken:
        raise InputError(
            f"the name {min(broken)}"
            + (f" and {len(broken) - 1} more are" if len(broken) > 1 else " is")
            + " not UTF-8: rename, as with convmv"
        )


def near_duplicate_bits(settings: dict) -> int | None:
    """Up to how many of 256 bits near-duplicates of a source may differ: its setting, else its reader's; None = off."""
    return settings.get("near_duplicates", READERS[settings["reader"]].NEAR_DUPLICATES)


__all__ = [
    "LISTS", "READERS", "Lesion", "Problems", "Reading", "Source", "expand", "find_lists", "near_duplicate_bits",
    "open_source", "phantoms_root",
]  # fmt: skip
