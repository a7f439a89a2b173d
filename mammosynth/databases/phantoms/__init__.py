"""Phantoms: simulated ultrasound images and mammograms in the layouts of real databases.

They are the default study's raw databases: with masks or circles, patient ids, two unbalanced classes, and faults for
curation to find. They are not clinical data. Each cue that tells malignant from benign lesions is flipped with
probability `FLIP`, so that none decides alone and a classifier finds them about as hard as real ones.
"""

import csv
import shutil
from importlib import import_module
from pathlib import Path

from mammosynth.databases.readers import READERS, database_of, load
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES


def writer_of(reader: str) -> str:
    """The module whose `write` makes phantoms in the layout of a reader. Raises InputError if there is none."""
    if module := database_of(reader).phantoms:
        return module
    others = ", ".join(other for other in READERS if database_of(other).phantoms)
    raise InputError(f"there are no phantoms for reader {reader}: use one of {others}, or give a root")


def make_phantoms(reader: str, phantoms: dict[str, int], folder: Path) -> None:
    """Write a database of phantoms below *folder*, in the layout that *reader* reads.

    phantoms: numbers of *benign* and *malignant* images, at least 5 each, and *seed*, which decides everything. What
    an earlier run left is removed; ``patients.csv`` (image, patient_id) is written last. Raises InputError if there
    are no phantoms for the reader.
    """
    write = import_module(writer_of(reader)).write
    counts = {label: phantoms[label] for label in CLASSES}
    images = folder / load(reader).FOLDER
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    rows = write(counts, phantoms["seed"], images)
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("image", "patient_id"), *rows])
