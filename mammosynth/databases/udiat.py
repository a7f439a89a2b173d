"""UDIAT, or Dataset B: breast ultrasound images of the UDIAT Diagnostic Centre, Sabadell.

Layout: ``DatasetB.xlsx``, ``original/000001.png`` with its mask ``GT/000001.png``, and so on. The root is the folder
that holds these three.
Label rule: Type of the image's row in DatasetB.xlsx (109 benign, 54 malignant). Its column Image holds the files' names
as text; a program that saved the sheet anew may have cut their zeros, which are put back.
Patients: each image is of another woman (Yap et al. 2018), so patient = image.
Licence: on request from its authors, not to be passed on; cite M. H. Yap et al., "Automated breast ultrasound lesions
detection using convolutional neural networks", IEEE J. Biomed. Health Inform. 22(4):1218-1226 (2018).
"""

from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, list_images, refuse_unnamed
from mammosynth.databases.pixels import masks_box
from mammosynth.databases.rows import Row, read_excel, unique
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

TABLE = "DatasetB.xlsx"
IMAGES, MASKS = "original", "GT"
SUFFIX = ".png"

# As for BUSI, where it was measured: UDIAT may not be passed on, and was not at hand.
NEAR_DUPLICATES = 32


def read(source: Source) -> Reading:
    """The lesions of UDIAT.

    Raises InputError, one for all rows and files at fault, if a row has no image, mask or label or repeats another, a
    file has no row, or a mask is unreadable, empty or not of its image's size.
    """
    if not (source.root / TABLE).is_file():
        raise InputError(
            f"{source.root} holds no {TABLE}: "
            f"point root of {source.name} at the folder that holds it, {IMAGES} and {MASKS}"
        )
    problems = Problems()
    rows = unique(read_excel(source.root / TABLE, ("Image", "Type")), "Image", problems)
    keys = {f"{folder}/{_file(row)}" for row in rows for folder in (IMAGES, MASKS)}
    with problems.gathered():
        source.refuse_unknown(source.exclusions, {key for key in keys if key.startswith(IMAGES)}, "the exclusion list")
    for folder in (IMAGES, MASKS):
        with problems.gathered():
            refuse_unnamed(source.root, list_images(source.root / folder), keys, TABLE)
    reading = Reading([])
    for row in rows:
        with problems.gathered():
            reading.lesions.append(_lesion(row, source))
    problems.refuse()
    return reading


def _lesion(row: Row, source: Source) -> Lesion:
    name = _file(row)
    excluded = source.exclusions.get(f"{IMAGES}/{name}", "")
    image, mask = (source.root / row.place(source.root, f"{folder}/{name}") for folder in (IMAGES, MASKS))
    pathology = row.choice("Type", CLASSES)
    box = (None,) * 4
    if not excluded:
        box = masks_box(row.file(source.root, f"{IMAGES}/{name}"), [row.file(source.root, f"{MASKS}/{name}")])
    stem = name.removesuffix(SUFFIX)
    return Lesion(
        lesion_id=f"{source.name}/{stem}",
        patient_id=stem,
        database=source.name,
        modality=source.modality,
        image=str(image),
        mask=str(mask),
        **dict(zip(("x0", "y0", "x1", "y1"), box)),
        pathology=pathology,
        excluded=excluded,
    )


def _file(row: Row) -> str:
    return row["Image"].removesuffix(SUFFIX).zfill(6) + SUFFIX
