"""UDIAT, or Dataset B: breast ultrasound images of the UDIAT Diagnostic Centre, Sabadell.

Layout: ``DatasetB.xlsx``, ``original/000001.png`` with its mask ``GT/000001.png``, and so on, with any capitals. The
root is the folder that holds these three, or the folder that holds it as ``BUS``.
Label rule: Type of the image's row in DatasetB.xlsx (109 benign, 54 malignant). Its column Image holds the files' names
as text; a program that saved the sheet anew may have cut their zeros, which are put back. The legend to the right of
the table is not read.
Patients: none are published, and patient = image. That each image is of another woman, as Yap et al. (2018) say, is not
so: some lesions are shown a second time. ``resources/patients/udiat.csv`` lists those that were found, for the source's
*patients*; an eye may find more.
"""

from pathlib import Path

from mammosynth.databases.database import Database
from mammosynth.databases.files import find
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, list_images, refuse_unnamed, sides
from mammosynth.databases.pixels import masks_box
from mammosynth.databases.rows import Row, read_excel, unique
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

FOLDER = "BUS"
TABLE = "DatasetB.xlsx"
IMAGES, MASKS = "original", "GT"
SUFFIX = ".png"

DATABASE = Database(
    title="UDIAT Dataset B",
    licence="on request, for research only, not to be passed on",
    citation='M. H. Yap et al., "Automated breast ultrasound lesions detection using convolutional neural networks", '
    "IEEE Journal of Biomedical and Health Informatics 22:1218-1226 (2018)",
    tried="its real files, elsewhere: an independent check of the counts (163: 109 benign, 54 malignant); its "
    "workbook's layout is written by our tests, too",
    lesions={"benign": 109, "malignant": 54},
    request="ask M. H. Yap, Manchester Metropolitan University (https://helward.mmu.ac.uk/STAFF/m.yap/dataset.php)",
    near_duplicates=32,  # as for BUSI, where it was measured: UDIAT may not be passed on
)


def read(source: Source) -> Reading:
    """The lesions of UDIAT.

    Raises InputError, one for all rows and files at fault, if a row has no image, mask or label or repeats another, a
    file has no row, or a mask is unreadable, empty or not of its image's size.
    """
    folder = next((top for top in (source.root, source.root / FOLDER) if (top / TABLE).is_file()), None)
    if folder is None:
        raise InputError(
            f"{source.root} holds no {TABLE}: "
            f"point root of {source.name} at the folder that holds it, {IMAGES} and {MASKS}"
        )
    problems = Problems()
    rows = unique(read_excel(folder / TABLE, ("Image", "Type")), "Image", problems)
    with problems.gathered():
        source.check_lists(f"{IMAGES}/{_file(row)}" for row in rows)
    for name in (IMAGES, MASKS):
        with problems.gathered():
            images = list_images(find(folder, name) or folder / name)
            refuse_unnamed(folder, images, [f"{name}/{_file(row)}" for row in rows], TABLE)
    reading = Reading([])
    for row in rows:
        with problems.gathered():
            reading.lesions.append(_lesion(row, folder, source))
    problems.refuse()
    return reading


def _lesion(row: Row, folder: Path, source: Source) -> Lesion:
    name = _file(row)
    image_id, of_mask = f"{IMAGES}/{name}", f"{MASKS}/{name}"
    excluded = source.excluded(image_id)
    image, mask = (folder / row.place(folder, place) for place in (image_id, of_mask))
    pathology = row.choice("Type", CLASSES)
    box = None
    if not excluded:
        image, mask = row.file(folder, image_id), row.file(folder, of_mask)
        box = masks_box(image, [mask])
    stem = name.removesuffix(SUFFIX)
    return Lesion(
        lesion_id=f"{source.name}/{stem}",
        patient_id=stem,
        database=source.name,
        modality=source.modality,
        image=str(image),
        image_id=image_id,
        mask=str(mask),
        **sides(box),
        pathology=pathology,
        excluded=excluded,
    )


def _file(row: Row) -> str:
    name = row["Image"]
    return (name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name).zfill(6) + SUFFIX
