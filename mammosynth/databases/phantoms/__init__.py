"""Phantoms: simulated ultrasound images and mammograms in the layouts of real databases.

They are the default study's raw databases: with masks or circles, patient ids, two unbalanced classes, and faults for
curation to find. They are not clinical data. Each cue that tells malignant from benign lesions is flipped with
probability `FLIP`, so that none decides alone and a classifier finds them about as hard as real ones.
"""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

from mammosynth.databases import READERS
from mammosynth.databases.phantoms import mammography, ultrasound
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

# by the reader whose layout they are written in
WRITERS: dict[str, Callable[[dict[str, int], int, Path], list[tuple[str, str]]]] = {
    "busi": ultrasound.write,
    "mini_mias": mammography.write,
}


def make_phantoms(reader: str, phantoms: dict[str, int], folder: Path) -> None:
    """Write a database of phantoms below *folder*, in the layout that *reader* reads.

    phantoms: numbers of *benign* and *malignant* images, at least 5 each, and *seed*, which decides everything. What
    an earlier run left is removed; ``patients.csv`` (image, patient_id) is written last. Raises InputError if there
    are no phantoms for the reader.
    """
    if reader not in WRITERS:
        raise InputError(f"there are no phantoms for reader {reader}: use one of {', '.join(WRITERS)}, or give a root")
    counts = {label: phantoms[label] for label in CLASSES}
    images = folder / READERS[reader].FOLDER
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    rows = WRITERS[reader](counts, phantoms["seed"], images)
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("image", "patient_id"), *rows])
