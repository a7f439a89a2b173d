"""The databases: one reader each, all of which yield the same lesion records.

A new database is one new file with `read` and `NEAR_DUPLICATES`, and one line in `READERS`.
"""

import os
from pathlib import Path

from mammosynth.databases import breast_lesions_usg, bus_bra, busi, cbis_ddsm, inbreast, mini_mias, rois, table, udiat
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, expand
from mammosynth.errors import InputError
from mammosynth.fingerprint import refuse_unreadable

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


def read_database(source: Source) -> Reading:
    """The lesions of one database and its images without a lesion. Raises InputError for bad files or names of them."""
    reading = READERS[source.settings["reader"]].read(source)
    named = [part for lesion in reading.lesions for part in (lesion.image, *lesion.mask.split(";"))]
    _refuse_undecoded([*named, *map(str, reading.normals), *map(str, reading.passed_over)])
    return reading


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
    "READERS", "Lesion", "Problems", "Reading", "Source", "expand", "near_duplicate_bits", "open_source",
    "phantoms_root",
]  # fmt: skip
