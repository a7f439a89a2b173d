"""BrEaST-Lesions-USG, breast ultrasound images of five Polish hospitals.

Layout: ``BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx`` and the images ``case001.png`` with their masks
``case001_tumor.png`` (the lesion) and ``case001_other1.png`` (what else is there), all RGBA. The root holds the table,
and the images lie there or in one folder below, such as ``BrEaST-Lesions_USG-images_and_masks``.
Label rule: Classification of the image's row (154 benign, 98 malignant; 4 normal ones show no lesion). Masks named in
Mask_tumor_filename, joined by ``&``, are united to one lesion; those in Mask_other_filename are not read.
Patients: each case is one image of another woman, so patient = CaseID.
"""

import re
from pathlib import Path

from mammosynth.databases.database import Database
from mammosynth.databases.files import walk
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, list_images, refuse_unnamed, sides
from mammosynth.databases.pixels import masks_box
from mammosynth.databases.rows import Row, read_excel, unique
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

TABLE = "BrEaST-Lesions-USG-clinical-data"
COLUMNS = ("CaseID", "Image_filename", "Mask_tumor_filename", "Classification")

PUBLISHER = "https://www.cancerimagingarchive.net/wp-content/uploads"
DATABASE = Database(
    title="BrEaST-Lesions-USG",
    licence="CC BY 4.0",
    citation='A. Pawłowska et al., "Curated benchmark dataset for ultrasound based breast lesion analysis", Scientific '
    "Data 11:148 (2024), doi 10.7937/9WKK-Q141",
    tried="its real files, elsewhere: an independent check of every label and box (256: 154 benign, 98 malignant, 4 "
    "normal)",
    lesions={"benign": 154, "malignant": 98},
    files=[
        {"address": f"{PUBLISHER}/BrEaST-Lesions_USG-images_and_masks-Dec-15-2023.zip"},
        {"address": f"{PUBLISHER}/BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx"},
    ],
    near_duplicates=32,  # as for BUSI, where it was measured
)

_NAME = re.compile(r"case.*\.png$", re.IGNORECASE)
_OTHER = re.compile(r"_other\d*$", re.IGNORECASE)


def read(source: Source) -> Reading:
    """The lesions of BrEaST-Lesions-USG, and its normal images.

    Raises InputError, one for all rows and files at fault, if a row has no case, image, label or (unless it is normal)
    mask or repeats another, a file has no row, or a mask is unreadable, empty or not of its image's size.
    """
    table = _find_table(source)
    folder = _find_folder(source)
    problems = Problems()
    rows = unique(unique(read_excel(table, COLUMNS, ("Age", "BIRADS")), "CaseID", problems), "Image_filename", problems)
    named = {name for row in rows for column in COLUMNS[1:3] for name in _names(row, column)}
    with problems.gathered():
        source.check_lists(row["Image_filename"] for row in rows)
    with problems.gathered():
        images = [path for path in list_images(folder) if not _OTHER.search(path.stem)]
        refuse_unnamed(folder, images, named, table.name)
    reading = Reading([])
    for row in rows:
        with problems.gathered():
            _add(reading, row, folder, source)
    problems.refuse()
    return reading


def _find_table(source: Source) -> Path:
    tables = sorted(source.root.glob(f"{TABLE}*.xlsx"))
    if len(tables) != 1:
        found = f"{len(tables)} tables" if tables else "no table"
        raise InputError(
            f"{source.root} holds {found} {TABLE}….xlsx: point root of {source.name} at the folder of the one table "
            "and of the images"
        )
    return tables[0]


def _find_folder(source: Source) -> Path:
    folders = sorted({path.parent for path in walk(source.root) if _NAME.match(path.name)})
    if len(folders) != 1:
        found = ", ".join(map(str, folders)) or "no folder"
        raise InputError(
            f"images such as case001.png lie in {found} of {source.root}: "
            f"unpack them into one folder below the root of {source.name}"
        )
    return folders[0]


def _add(reading: Reading, row: Row, folder: Path, source: Source) -> None:
    """Add a row's lesion, or its image if that is normal."""
    name = row["Image_filename"]
    excluded = source.excluded(name)
    image = folder / row.place(folder, name)
    pathology = row.choice("Classification", (*CLASSES, "normal"))
    masks = [folder / row.place(folder, mask) for mask in _names(row, "Mask_tumor_filename")]
    if bool(masks) == (pathology == "normal"):
        raise InputError(
            f"{row} is {pathology} and has {len(masks)} tumour masks: mend Classification or Mask_tumor_filename"
        )
    if not excluded:
        image, *masks = (row.file(folder, path) for path in (name, *_names(row, "Mask_tumor_filename")))
    if pathology == "normal":
        reading.normals += [] if excluded else [image]
        return
    reading.lesions.append(
        Lesion(
            lesion_id=f"{source.name}/{image.stem}",
            patient_id=reading.patients.name(row["CaseID"], row),
            database=source.name,
            modality=source.modality,
            image=str(image),
            image_id=name,
            mask=";".join(map(str, masks)),
            **sides(None if excluded else masks_box(image, masks)),
            pathology=pathology,
            excluded=excluded,
            age=row["Age"],
            birads=row["BIRADS"],
        )
    )


def _names(row: Row, column: str) -> list[str]:
    return [name for part in row[column].split("&") if (name := part.strip())]
