"""Your own images, listed in a table of your own.

Layout: ``lesions.csv`` in the root, one row a lesion, in UTF-8 with commas. Columns: *image*; *mask*, or *x0*, *y0*,
*x1*, *y1*; *pathology*; *patient*; and, if you like, *view*, *age* and *birads*. Others are not read. Images and masks
are named by paths below the root, with slashes or backslashes. Images are PNG, PGM, TIFF, JPEG or DICOM of 8 or 16
bits; masks the same but not JPEG, which smears them. A mask has two values, of which the lesion is the lighter, or what
is not transparent; what else it and an image may be, ``docs/images.md`` says. A box is in pixels of the image, row 0 at
the top of the image as it is shown, and x1 and y1 are the first ones beyond it. Several masks of one lesion are joined
by ``;``.
Label rule: pathology, which is benign, malignant or normal; a normal image has one row, without mask or box.
Patients: *patient* must be filled in, for patients are what is split. Where each image is of another patient, say so by
repeating the image's name in that column.
"""

import logging
from collections import Counter
from pathlib import Path

from mammosynth.databases.database import Database
from mammosynth.databases.files import find
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, sides
from mammosynth.databases.patients import Patients, spell
from mammosynth.databases.pixels import Box, masks_box, read_orientation, read_size
from mammosynth.databases.rows import Row, read_csv
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

log = logging.getLogger(__name__)

TABLE = "lesions.csv"
COLUMNS = ("image", "pathology", "patient")
BOX = ("x0", "y0", "x1", "y1")
MASKS = (".png", ".pgm", ".tif", ".tiff", ".dcm", ".dicom")
IMAGES = (*MASKS, ".jpg", ".jpeg")

# As for BUSI: on films and ROIs it joins nothing falsely (mini-MIAS and CBIS-DDSM, where nothing is nearer than 54).
DATABASE = Database(near_duplicates=32)


def read(source: Source) -> Reading:
    """The lesions of a table, and its normal images.

    Raises InputError, one for all rows and files at fault, if a row lacks an image, a label or a patient, names a file
    beyond the root, gives no mask or box or both, contradicts or repeats another, or a mask is not of its image's size
    or none that `mammosynth.databases.pixels` takes.
    """
    table = source.root / TABLE
    if not table.is_file():
        raise InputError(
            f"{source.root} holds no {TABLE}: write one with columns {', '.join(COLUMNS)} and mask, "
            f"or point root of {source.name} at the folder that holds it"
        )
    rows = read_csv(table, COLUMNS, ("mask", *BOX, "view", "age", "birads"))
    if not rows:
        raise InputError(f"{table} has no row but the first: add one a lesion")
    if not any(column in rows[0].cells for column in ("mask", "x0")):
        raise InputError(f"{table} has no column mask, nor x0, y0, x1, y1: add either")
    problems, placed = Problems(), []
    for row in rows:
        with problems.gathered():
            placed.append((_key(row, source.root), row))
    with problems.gathered():
        source.check_lists(key for key, _ in placed)
    first: dict[str, Row] = {}
    seen: dict[tuple, Row] = {}
    count: Counter = Counter()
    reading = Reading([])
    for key, row in placed:
        count[key] += 1
        with problems.gathered():
            _refuse_contradictions(row, first.setdefault(key, row))
            _refuse_repeated(row, seen.setdefault((key, row["mask"], *(row[edge] for edge in BOX)), row))
            _add(reading, row, key, f"{source.name}/{key}-{count[key]}", source)
    problems.refuse()
    return reading


def _key(row: Row, root: Path) -> str:
    """Where a row's image lies below the root, in the spelling of the file if it is there, so that one file is one."""
    place = row.place(root, row.text("image"))
    found = find(root, place)
    return found.relative_to(root).as_posix() if found else place


def _add(reading: Reading, row: Row, key: str, lesion_id: str, source: Source) -> None:
    """Add a row's lesion, or its image if that is normal."""
    excluded = source.excluded(key)
    pathology, patient = row.choice("pathology", (*CLASSES, "normal")), _patient(row, reading.patients)
    names = [name for part in row["mask"].split(";") if (name := part.strip())]
    masks = [source.root / row.place(source.root, name) for name in names]
    _refuse_suffixes(row, [key], IMAGES)
    _refuse_suffixes(row, names, MASKS)
    _refuse_no_place(row, pathology)
    if source.root / key in masks:
        raise InputError(f"{row} names {key} as image and as mask: name the lesion's mask, which is white on black")
    image, box = source.root / key, None
    if not excluded:
        image = row.file(source.root, row["image"])
        masks = [row.file(source.root, name) for name in names]
    if pathology == "normal":
        reading.normals += [] if excluded else [image]
        return
    if not excluded:
        box = masks_box(image, masks) if masks else _box(row, image)
    reading.lesions.append(
        Lesion(
            lesion_id=lesion_id,
            patient_id=patient,
            database=source.name,
            modality=source.modality,
            image=str(image),
            image_id=key,
            mask=";".join(map(str, masks)),
            **sides(box),
            pathology=pathology,
            view=row["view"],
            excluded=excluded,
            age=row["age"],
            birads=row["birads"],
        )
    )


def _patient(row: Row, patients: Patients) -> str:
    if not row["patient"]:
        raise InputError(
            f"{row} has no patient: fill it in, for patients are what is split; where each image is of another "
            "patient, write the image's name there"
        )
    return patients.name(row["patient"], row)


def _box(row: Row, image: Path) -> Box:
    x0, y0, x1, y1 = (row.whole(edge) for edge in BOX)
    width, height = read_size(image)
    if read_orientation(image) != 1:
        log.warning("%s is turned by its orientation tag: its box in %s is taken for the image as shown", image, row)
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise InputError(
            f"{row}: the box {x0}, {y0}, {x1}, {y1} is empty or not inside its image of {width}×{height} pixels: "
            "mend x0, y0, x1, y1"
        )
    return x0, y0, x1, y1


def _refuse_no_place(row: Row, pathology: str) -> None:
    """Raise InputError unless a row has a mask or a box, or neither if it is normal."""
    given = [name for name in ("mask", *BOX) if row[name]]
    if pathology == "normal" and given:
        raise InputError(f"{row} is normal but has {given[0]}: mend pathology, or empty that cell")
    if pathology != "normal" and given not in (["mask"], list(BOX)):
        raise InputError(
            f"{row} has {', '.join(given) or 'neither mask nor box'}: give a mask, or x0, y0, x1 and y1, and not both"
        )


def _refuse_suffixes(row: Row, names: list[str], suffixes: tuple[str, ...]) -> None:
    for name in names:
        if Path(name).suffix.lower() not in suffixes:
            raise InputError(
                f"{row} names {name}, which would not be read, as only {', '.join(suffixes)} are: convert it"
            )


def _refuse_contradictions(row: Row, first: Row) -> None:
    """Raise InputError if a row and the first one of its image give different patients, or one says normal."""
    if spell(row["patient"]) != spell(first["patient"]):
        raise InputError(
            f'{row} gives patient "{row["patient"]}" to an image that line {first.number} gives to '
            f'"{first["patient"]}": mend one of them'
        )
    if row is not first and "normal" in (row["pathology"].lower(), first["pathology"].lower()):
        raise InputError(f"{row} names the image of line {first.number}, and one says normal: keep one of them")


def _refuse_repeated(row: Row, first: Row) -> None:
    if row is not first:
        raise InputError(f"{row} repeats the lesion of line {first.number}: keep one of them")
