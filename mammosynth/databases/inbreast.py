"""INbreast, full-field digital mammograms of the Breast Centre of Centro Hospitalar de São João, Porto.

Layout: ``INbreast.csv`` (columns separated by semicolons), ``AllDICOMs/20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm`` and
so on, and ``AllXML/20586908.xml`` for the images with findings: property lists of OsiriX, whose regions of interest
have a name and the points of a contour in pixels of the image. The root is the folder that holds these, or the folder
that holds it as ``INbreast Release 1.0``. File Name in the table, the name of the contours and that of the DICOM file
begin with the same number.
Label rule: the BI-RADS category of the image (Bi-Rads), as biopsies are not published: by default 1 to 3 count as
benign and 4 to 6 as malignant; *birads* in the source's settings says it otherwise, and a category that is in neither
of its lists is excluded (``{benign: [2], malignant: [4b, 4c, 5, 6]}`` leaves out the doubtful 3, 4 and 4a). Read are
the contours named Mass; the log counts the others (calcifications, spiculated regions, distortions, asymmetries). The
box is that of the contour. An image of category 1 without any contour shows no lesion; one of another category without
contours, or without its file of them, shows a finding that is not said where, and is passed over as one with other
contours alone is; the log names such images.
Patients: the second part of the DICOM file's name, the same in all images of a patient.

Written from documents: no file of INbreast was at hand. Not checked on real files are, above all, the names of the
columns and of the contours, that points are counted from the upper left pixel, and the counts (115 patients, 410
images, 116 masses in 107 of them, according to the paper).
"""

import logging
import plistlib
import re
from collections import Counter
from pathlib import Path

from mammosynth.databases.database import Database, Setting
from mammosynth.databases.files import list_files
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, sides
from mammosynth.databases.patients import says_nothing
from mammosynth.databases.pixels import Box, read_size
from mammosynth.databases.rows import Row, read_csv, unique
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

log = logging.getLogger(__name__)

FOLDER = "INbreast Release 1.0"
TABLE, IMAGES, CONTOURS = "INbreast.csv", "AllDICOMs", "AllXML"
CATEGORIES = ("0", "1", "2", "3", "4", "4a", "4b", "4c", "5", "6")
NORMAL = "1"  # the category of an image without any finding
MASS = "mass"


def _refuse_both(lists: dict[str, list]) -> None:
    if both := set(map(_spell, lists["benign"])) & set(map(_spell, lists["malignant"])):
        raise InputError(f"{min(both)} stands in both lists: take it out of one")


def _spell(category: str | int) -> str:
    return str(category).lower()


LISTED = {"type": "array", "items": {"enum": [0, 1, 2, 3, 4, 5, 6, *CATEGORIES]}, "uniqueItems": True}
DATABASE = Database(
    title="INbreast",
    licence="on request, for research only",
    citation='I. C. Moreira et al., "INbreast: toward a full-field digital mammographic database", Academic Radiology '
    "19:236-248 (2012)",
    tried="a layout that our tests write from its documents; no real file has been read",
    request="ask the Breast Research Group, INESC Porto "
    "(http://medicalresearch.inescporto.pt/breastresearch/index.php/Get_INbreast_Database)",
    # patients are known, and a hash of a whole film tells the outline of the breast rather than the mass
    near_duplicates=None,
    settings={
        "birads": Setting(
            "The BI-RADS categories that count as benign and as malignant; lesions of others are excluded.",
            {
                "type": "object",
                "required": list(CLASSES),
                "properties": dict.fromkeys(CLASSES, LISTED),
                "additionalProperties": False,
            },
            default={"benign": [1, 2, 3], "malignant": [4, "4a", "4b", "4c", 5, 6]},
            check=_refuse_both,
        ),
    },
)

_NAME = re.compile(r"(?P<number>\d{8})_(?P<patient>[^_]+)_MG_(?P<side>[LR])_(?P<view>[A-Z]+)_ANON\.(?i:dcm)", re.ASCII)
_POINT = re.compile(r"\(\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*\)", re.ASCII)
_VIEWS = {"ML": "MLO"}  # what file names call ML is a mediolateral oblique view

Contours = list[tuple[str, list[tuple[float, float]]]]


def read(source: Source) -> Reading:
    """The masses of INbreast.

    Raises InputError, one for all rows and files at fault, if the table is missing, a row has no image or no BI-RADS
    category or repeats another, an image has no row, contours are unreadable or have no image, or a header is
    unreadable.
    """
    folder = source.root / FOLDER if (source.root / FOLDER / IMAGES).is_dir() else source.root
    if not (folder / IMAGES).is_dir():
        raise InputError(
            f"{folder} holds no folder {IMAGES}: point root of {source.name} at the folder of {TABLE}, {IMAGES} and "
            f"{CONTOURS}"
        )
    pathologies = _read_mapping(source)
    problems = Problems()
    images = _list_images(folder, problems)
    rows = {row["File Name"]: row for row in unique(_read_table(folder), "File Name", problems)}
    source.check_lists(path.relative_to(folder).as_posix() for path in images.values())
    of_contours = list_files(folder / CONTOURS) if (folder / CONTOURS).is_dir() else []
    files = {path.stem: path for path in of_contours if path.suffix.lower() == ".xml"}
    for number in sorted(set(images) | set(rows) | set(files)):
        with problems.gathered():
            _refuse_gap(number, images, rows, files)
    problems.refuse()
    reading = Reading([])
    names: Counter[str] = Counter()
    unmarked: list[str] = []
    for number, path in images.items():
        with problems.gathered():
            contours = read_contours(files[number]) if number in files else []
            names.update(name for name, _ in contours)
            masses = [points for name, points in contours if name.strip().lower() == MASS]
            if not masses and not source.excluded(path.relative_to(folder).as_posix()):
                category = rows[number].choice("Bi-Rads", CATEGORIES)
                if contours:
                    reading.passed_over[path] = f"no mass but {', '.join(sorted({name for name, _ in contours}))}"
                elif category == NORMAL:
                    reading.normals.append(path)
                else:
                    missing = "no contours" if number in files else f"no file in {CONTOURS}"
                    reading.passed_over[path] = f"BI-RADS {category} but {missing}"
                    unmarked.append(f"{number} ({reading.passed_over[path]})")
            for count, points in enumerate(masses, start=1):
                reading.lesions.append(_lesion(source, folder, path, count, points, rows[number], pathologies))
    problems.refuse()
    if not reading.lesions:
        raise InputError(f"{folder / CONTOURS} holds no contour named Mass: unpack it beside {IMAGES}")
    if unmarked:
        log.warning(
            "%s: %d images have findings that no contour shows, and are passed over; if %s is not complete, unpack it "
            "again: %s", source.name, len(unmarked), CONTOURS, ", ".join(unmarked),
        )  # fmt: skip
    log.info("%s: contours by name: %s", source.name, ", ".join(f"{name} {n}" for name, n in names.most_common()))
    return reading


def read_contours(path: Path) -> Contours:
    """The names of the regions of interest of an OsiriX property list, and their points x, y in pixels.

    Raises InputError if the file is no such list.
    """
    try:
        images = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)["Images"]
        return [(str(roi["Name"]), _points(roi["Point_px"])) for image in images for roi in image["ROIs"]]
    except Exception as error:  # of a broken file plistlib raises errors of many kinds, and what it gives may lack keys
        raise InputError(
            f"{path} is no property list of OsiriX with Images, ROIs, Name and Point_px "
            f"({type(error).__name__}: {' '.join(str(error).split())}): restore the file of the database"
        ) from error


def contour_box(points: list[tuple[float, float]], size: tuple[int, int]) -> Box | None:
    """Half-open box of a contour's pixels in an image of *size* (width, height); None where it lies beside it."""
    corners = []
    for values, length in zip(zip(*points), size):
        corners.append((max(int(min(values)), 0), min(int(max(values)) + 1, length)))
    (x0, x1), (y0, y1) = corners
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _lesion(
    source: Source,
    folder: Path,
    path: Path,
    count: int,
    points: list[tuple[float, float]],
    row: Row,
    pathologies: dict[str, str],
) -> Lesion:
    name = _NAME.fullmatch(path.name)
    assert name is not None  # no other images are listed
    category = row.choice("Bi-Rads", CATEGORIES)
    image_id = path.relative_to(folder).as_posix()
    excluded = source.excluded(image_id)
    box = None
    if not excluded:
        if category not in pathologies:
            excluded = f"BI-RADS {category} counts as neither class"
        elif len(points) < 3:
            excluded = "mass without a contour"
        elif (box := contour_box(points, read_size(path))) is None:
            excluded = "contour beside the image"
    return Lesion(
        lesion_id=f"{source.name}/{name['number']}-{count}",
        patient_id=name["patient"],
        database=source.name,
        modality=source.modality,
        image=str(path),
        image_id=image_id,
        mask="",
        **sides(box),
        pathology=pathologies.get(category, ""),
        view=f"{name['side']} {_VIEWS.get(name['view'], name['view'])}",
        excluded=excluded,
        age="" if says_nothing(row["Patient age"]) else row["Patient age"],  # "removed" in the published table
        birads=category,
    )


def _points(texts: list[str]) -> list[tuple[float, float]]:
    points = []
    for text in texts:
        if (match := _POINT.fullmatch(text.strip())) is None:
            raise ValueError(f'"{text}" is no point')
        points.append((float(match[1]), float(match[2])))
    return points


def _read_mapping(source: Source) -> dict[str, str]:
    """The class of each BI-RADS category that counts."""
    return {_spell(category): label for label in CLASSES for category in source.settings["birads"][label]}


def _list_images(folder: Path, problems: Problems) -> dict[str, Path]:
    """The DICOM files by their number."""
    images: dict[str, Path] = {}
    for path in list_files(folder / IMAGES):
        name = _NAME.fullmatch(path.name)
        with problems.gathered():
            if name is None:
                raise InputError(
                    f"{path} is not named as INbreast names its files, such as "
                    "20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm: give it its name again, or take it out of the folder"
                )
            if name["number"] in images:
                raise InputError(f"{path} and {images[name['number']]} share one number: keep one of them")
            images[name["number"]] = path
    return images


def _read_table(folder: Path) -> list[Row]:
    if not (folder / TABLE).is_file() and (others := sorted(folder.glob("INbreast.xls*"))):
        raise InputError(f"{folder} holds no {TABLE}: save {others[0].name} as that, with semicolons and in UTF-8")
    return read_csv(folder / TABLE, ("File Name", "Bi-Rads"), ("Patient age",), delimiter=";")


def _refuse_gap(number: str, images: dict[str, Path], rows: dict[str, Row], files: dict[str, Path]) -> None:
    """Raise InputError if an image lacks a row, or a row or contours an image."""
    if number not in images and number in files:
        raise InputError(f"{files[number]} has no image in {IMAGES}: add it, or remove the contours and the row")
    if number not in images:
        raise InputError(f"{rows[number]} names {number}, which is not in {IMAGES}: add it, or remove the row")
    if number not in rows:
        raise InputError(f"{images[number]} has no row in {TABLE}: add one, or take the image out of the folder")


__all__ = ["contour_box", "read", "read_contours"]
