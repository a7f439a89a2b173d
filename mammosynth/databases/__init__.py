"""The databases: one reader each, all of which yield the same lesion records.

A new database is one new file in this folder, with `read` and ``DATABASE``, and one line in
`mammosynth.databases.readers`.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mammosynth.databases.lesion import Lesion, Problems, Reading, Source
from mammosynth.databases.patient_lists import join_listed
from mammosynth.databases.pixels import noting
from mammosynth.databases.readers import READERS, database_of, load
from mammosynth.databases.settings import near_duplicate_bits, resolve
from mammosynth.errors import InputError
from mammosynth.fingerprint import refuse_unreadable

log = logging.getLogger(__name__)


def phantoms_root(name: str) -> Path:
    """Where the workflow lays the phantoms of a source, below the study's folder."""
    return Path("results", "phantoms", name)


def open_source(name: str, settings: dict) -> Source:
    """A database of the config: at its *root*, or where its *phantoms* were made.

    Raises InputError if a setting is not right, the root does not exist, or it has a folder that may not be looked
    into.
    """
    settings = resolve(name, settings)
    root = phantoms_root(name) if "phantoms" in settings else Path(settings["root"])
    if not root.is_dir():
        if "download" in settings:
            raise InputError(f"{root} is no folder any more: delete {root}.csv and run again, to download it")
        raise InputError(f"{root} is no folder: mend sources: {name}: root in the config")
    refuse_unreadable(root)
    return Source(name, settings, root)


def read_database(source: Source) -> Reading:
    """The lesions of one database and its images without a lesion, each patient in one spelling.

    Raises InputError for bad files, and where it is not clear who the patients are: see `Patients` and `join_listed`.
    """
    source.read_lists()
    with noting() as notes:
        reading = load(source.settings["reader"]).read(source)
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
    if found := miscounted(source.settings, Counter(lesion.pathology for lesion in reading.lesions)):
        log.warning("%s: %s", source.name, found)
    lesions = [
        replace(lesion, patient_id=patient, remark=_remark(lesion, notes))
        for lesion, patient in zip(reading.lesions, patients)
    ]
    return replace(reading, lesions=join_listed(lesions, source.patients, reading.patients))


def _remark(lesion: Lesion, notes: Mapping[str, list[str]]) -> str:
    """The lesion's own remark, and what reading its image and its masks noted."""
    noted = [remark for path in (lesion.image, *lesion.mask.split(";")) for remark in notes.get(path, [])]
    return "; ".join(dict.fromkeys(filter(None, [lesion.remark, *noted])))


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


def miscounted(settings: Mapping, found: Mapping[str, int]) -> str:
    """What to say where the lesions *found*, by class, are not as many as the database is known to have; else "".

    Phantoms, and sources whose settings choose other lesions than the reader's defaults do, are not compared.
    """
    database = database_of(settings["reader"])
    chosen = {key: settings.get(key, setting.default) != setting.default for key, setting in database.settings.items()}
    known = {} if "phantoms" in settings or any(chosen.values()) else database.lesions
    if all(found.get(label, 0) == count for label, count in known.items()):
        return ""
    counts = [f"{found.get(label, 0)} {label} lesions of the {count} known" for label, count in known.items()]
    return f"{' and '.join(counts)}: its files may not be complete, or not as published"


__all__ = [
    "READERS", "Lesion", "Problems", "Reading", "Source", "database_of", "miscounted", "near_duplicate_bits",
    "open_source", "phantoms_root", "read_database", "resolve",
]  # fmt: skip
