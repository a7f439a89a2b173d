"""BUS-BRA, the breast ultrasound images of the National Institute of Cancer, Rio de Janeiro.

Layout: ``bus_data.csv``, ``Images/bus_0001-l.png`` with its mask ``Masks/mask_0001-l.png``, and so on, and the official
folds in ``5-fold-cv.csv`` and ``10-fold-cv.csv``. The root is the folder that holds these, or the folder that holds it
as ``BUSBRA``.
Label rule: Pathology of the image's row in bus_data.csv (1,268 benign, 607 malignant; all biopsied). View: Side, as the
database says it. BI-RADS: BIRADS (2 to 5).
Boxes are those of the masks. BBOX of the row, [x, y, width, height], is the same a pixel further up and left; where it
is more than 2 pixels off, as in bus_0845-s, where the mask is right, the lesion has that remark and the log says so. If
such a mask lies where BBOX of another such row is, the two files are swapped, and the lesions are excluded.
Patients: Case (1,064). Cases 341 and 356 show one lesion, the latter with callipers, and lie in different official
folds: ``resources/exclusions/bus_bra.csv`` leaves out 356.
Folds: with ``official_folds: 5`` (or 10) in the source's settings each lesion carries the fold, from 0 up, that kFold
of the database's own file gives it, and `mammosynth.partition` keeps to it.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from mammosynth.databases.database import Database, Setting
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, list_images, refuse_unnamed, sides
from mammosynth.databases.patients import Patients
from mammosynth.databases.pixels import Box, masks_box
from mammosynth.databases.rows import Row, read_csv, unique
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

FOLDER = "BUSBRA"
TABLE = "bus_data.csv"
IMAGES, MASKS = "Images", "Masks"
SUFFIX = ".png"
TOLERANCE = 2  # pixels, of each edge
ELSEWHERE = f"BBOX of {TABLE} is elsewhere: the mask is used"

log = logging.getLogger(__name__)

DATABASE = Database(
    title="BUS-BRA",
    licence="CC BY 4.0, to be cited",
    citation='W. Gómez-Flores et al., "BUS-BRA: a breast ultrasound dataset for assessing computer-aided diagnosis '
    'systems", Medical Physics 51:3110-3123 (2024)',
    tried="its real files, elsewhere: an independent check of every label and box (1,875: 1,268 benign, 607 malignant)",
    lesions={"benign": 1268, "malignant": 607},
    files=[
        {
            "address": "https://zenodo.org/records/8231412/files/BUSBRA.zip?download=1",
            # two public projects independent of each other, one of which also compared the md5 that Zenodo publishes,
            # name it
            "sha256": "ba3e6ed19cc37c682d8d39e25435bbf8a555a12cb7e641b5f2117685c95580ff",
        }
    ],
    near_duplicates=32,  # as for BUSI, where it was measured
    settings={
        "official_folds": Setting(
            "Keep to the folds of its makers, of which there are 5 or 10; partition.folds must be the same, and all "
            "databases of the modality must have them.",
            {"enum": [5, 10]},
        ),
    },
)

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
    rows = unique(read_csv(folder / TABLE, ("ID", "Case", "Pathology", "Side", "BBOX"), ["BIRADS"]), "ID", problems)
    keys = {name for row in rows for name in (_image(row), _mask(row))}
    with problems.gathered():
        source.check_lists(map(_image, rows))
    for images in (IMAGES, MASKS):
        with problems.gathered():
            refuse_unnamed(folder, list_images(folder / images), keys, TABLE)
    folds: dict[str, int] = {}
    with problems.gathered():
        folds = _read_folds(folder, rows, source)
    reading = Reading([])
    declared: dict[str, Box] = {}
    for row in rows:
        with problems.gathered():
            reading.lesions.append(_lesion(row, folder, source, folds, reading.patients))
            declared[reading.lesions[-1].lesion_id] = _bbox(row)
    problems.refuse()
    reading.lesions = compare_boxes(reading.lesions, declared)
    return reading


def compare_boxes(lesions: list[Lesion], declared: dict[str, Box]) -> list[Lesion]:
    """Lesions, with a remark on those whose masks are not where BBOX is; those whose masks are swapped are excluded.

    declared: the boxes of BBOX by lesion_id.
    """
    apart = {
        lesion.lesion_id: _box(lesion)
        for lesion in lesions
        if not lesion.excluded and not _agree(_box(lesion), declared[lesion.lesion_id])
    }
    checked = []
    for lesion in lesions:
        box = apart.get(lesion.lesion_id)
        if box and (others := [other for other in apart if _agree(box, declared[other])]):
            lesion = replace(lesion, excluded=f"its mask is where BBOX of {others[0]} is")
        elif box:
            log.warning("%s: its mask is at %s, and %s", lesion.lesion_id, box, ELSEWHERE)
            lesion = replace(lesion, remark=ELSEWHERE)
        checked.append(lesion)
    return checked


def _lesion(row: Row, folder: Path, source: Source, folds: dict[str, int], patients: Patients) -> Lesion:
    excluded = source.excluded(_image(row))
    image, mask = (folder / row.place(folder, name) for name in (_image(row), _mask(row)))
    pathology, patient = row.choice("Pathology", CLASSES), patients.name(row.text("Case"), row)
    box = None
    if not excluded:
        image, mask = row.file(folder, _image(row)), row.file(folder, _mask(row))
        box = masks_box(image, [mask])
    return Lesion(
        lesion_id=f"{source.name}/{row['ID']}",
        patient_id=patient,
        database=source.name,
        modality=source.modality,
        image=str(image),
        image_id=_image(row),
        mask=str(mask),
        **sides(box),
        pathology=pathology,
        view=row["Side"].lower(),
        birads=row["BIRADS"],
        official_fold=folds.get(row["ID"]),
        excluded=excluded,
    )


def _box(lesion: Lesion) -> Box:
    return cast(Box, (lesion.x0, lesion.y0, lesion.x1, lesion.y1))


def _agree(box: Sequence[int], other: Sequence[int]) -> bool:
    return all(abs(a - b) <= TOLERANCE for a, b in zip(box, other))


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
