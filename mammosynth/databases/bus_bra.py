"""BUS-BRA, the breast ultrasound images of the National Institute of Cancer, Rio de Janeiro.

Layout: ``bus_data.csv``, ``Images/bus_0001-l.png`` with its mask ``Masks/mask_0001-l.png``, and so on, and the official
folds in ``5-fold-cv.csv`` and ``10-fold-cv.csv``. The root is the folder that holds these, or the folder that holds it
as ``BUSBRA``.
Label rule: Pathology of the image's row in bus_data.csv (1,268 benign, 607 malignant; all biopsied). A row's BBOX
([x, y, width, height], in the manner of MATLAB) must be the box of its mask within 2 pixels, else the lesion is
excluded: row and mask do not belong together. View: Side, as the database says it.
BI-RADS: BIRADS (2 to 5).
Patients: Case (1,064). Folds: with ``official_folds: 5`` (or 10) in the source's settings each lesion carries the fold,
from 0 up, that kFold of the database's own file gives it, and `mammosynth.partition` keeps to it.
Licence: CC BY 4.0, to be cited: W. Gómez-Flores, M. J. Gregorio-Calas and W. C. de Albuquerque Pereira, "BUS-BRA: A
breast ultrasound dataset for assessing computer-aided diagnosis systems", Medical Physics 51(4):3110-3123 (2024).
"""

import re
from pathlib import Path

from mammosynth.databases.lesion import Box, Lesion, Problems, Reading, Source, list_images, masks_box, refuse_unnamed
from mammosynth.databases.patients import Patients
from mammosynth.databases.rows import Row, read_csv, unique
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

FOLDER = "BUSBRA"
TABLE = "bus_data.csv"
IMAGES, MASKS = "Images", "Masks"
SUFFIX = ".png"
TOLERANCE = 2  # pixels: whether the makers count from 0 or 1, and whether a box ends on or after its last pixel

# As for BUSI, where it was measured: BUS-BRA was not at hand.
NEAR_DUPLICATES = 32

_BBOX = re.compile(r"\[\s*" + r"[\s,]\s*".join([r"(-?\d{1,6}(?:\.\d+)?)"] * 4) + r"\s*\]", re.ASCII)


def read(source: Source) -> Reading:
    """The lesions of BUS-BRA.

    Raises InputError, one for all rows and files at fault, if a row has no patient, image, mask, label or box or
    repeats another, a file has no row, a mask is unreadable, empty or not of its image's size, or official folds are
    asked for that do not hold every image once.
    """
    folder = source.root / FOLDER if (source.root / FOLDER).is_dir() else source.root
    if not (folder / TABLE).is_file():
        raise InputError(
            f"{folder} holds no {TABLE}: point root of {source.name} at the folder that holds it, {IMAGES} and {MASKS}"
        )
    problems = Problems()
    rows = unique(read_csv(folder / TABLE, ("ID", "Case", "Pathology", "Side", "BBOX")), "ID", problems)
    keys = {name for row in rows for name in (_image(row), _mask(row))}
    with problems.gathered():
        source.refuse_unknown(source.exclusions, {_image(row) for row in rows}, "the exclusion list")
    for images in (IMAGES, MASKS):
        with problems.gathered():
            refuse_unnamed(folder, list_images(folder / images), keys, TABLE)
    folds: dict[str, int] = {}
    with problems.gathered():
        folds = _read_folds(folder, rows, source)
    reading = Reading([])
    for row in rows:
        with problems.gathered():
            reading.lesions.append(_lesion(row, folder, source, folds, reading.patients))
    problems.refuse()
    return reading


def _lesion(row: Row, folder: Path, source: Source, folds: dict[str, int], patients: Patients) -> Lesion:
    excluded = source.exclusions.get(_image(row), "")
    image, mask = (folder / row.place(folder, name) for name in (_image(row), _mask(row)))
    pathology, patient, declared = row.choice("Pathology", CLASSES), patients.name(row.text("Case"), row), _bbox(row)
    box = (None,) * 4
    if not excluded:
        box = masks_box(row.file(folder, _image(row)), [row.file(folder, _mask(row))])
        if any(abs(a - b) > TOLERANCE for a, b in zip(box, declared)):
            excluded = f"its mask is not where BBOX of {TABLE} is"
    return Lesion(
        lesion_id=f"{source.name}/{row['ID']}",
        patient_id=patient,
        database=source.name,
        modality=source.modality,
        image=str(image),
        mask=str(mask),
        **dict(zip(("x0", "y0", "x1", "y1"), box)),
        pathology=pathology,
        view=row["Side"].lower(),
        birads=row["BIRADS"],
        official_fold=folds.get(row["ID"]),
        excluded=excluded,
    )


def _image(row: Row) -> str:
    return f"{IMAGES}/{row['ID']}{SUFFIX}"


def _mask(row: Row) -> str:
    return f"{MASKS}/mask_{row['ID'].removeprefix('bus_')}{SUFFIX}"


def _bbox(row: Row) -> Box:
    match = _BBOX.fullmatch(row["BBOX"])
    if match is None:
        raise InputError(f'{row}: BBOX is "{row["BBOX"]}", not as [91,24,103,79] (x, y, width, height): mend it')
    x, y, width, height = (round(float(number)) for number in match.groups())
    return x, y, x + width, y + height


def _read_folds(folder: Path, rows: list[Row], source: Source) -> dict[str, int]:
    """Number of the official fold, from 0 up, by ID; empty where none are asked for."""
    count = source.settings.get("official_folds")
    if count is None:
        return {}
    path = folder / f"{count}-fold-cv.csv"
    if not path.is_file():
        raise InputError(f"{path} does not exist: add the file of the database, or leave out official_folds")
    problems = Problems()
    folds: dict[str, int] = {}
    for row in unique(read_csv(path, ("ID", "kFold")), "ID", problems):
        with problems.gathered():
            if not 1 <= row.whole("kFold") <= count:
                raise InputError(f"{row}: kFold is {row['kFold']}, not 1 to {count}: restore the file of the database")
            folds[row["ID"]] = row.whole("kFold") - 1
    for row in rows:
        with problems.gathered():
            if row["ID"] not in folds:
                raise InputError(f'{row}: {path} has no fold for "{row["ID"]}": restore the file of the database')
    problems.refuse()
    return folds
