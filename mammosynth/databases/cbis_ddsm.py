"""CBIS-DDSM, the Curated Breast Imaging Subset of the Digital Database for Screening Mammography.

Layout: the four tables ``{mass,calc}_case_description_{train,test}_set.csv`` in the root, or in its folder ``csv``, and
below the root, in any folders, the DICOM files as The Cancer Imaging Archive or the Imaging Data Commons give them. Or
the copy on Kaggle in JPEG: the tables and ``dicom_info.csv`` in ``csv``, images in ``jpeg/<SeriesInstanceUID>``.
Files and rows meet in what the files' headers say, never in names of folders: PatientID is that of a film
(``Mass-Training_P_00001_LEFT_CC``) or, with the abnormality's number after it, that of one lesion's crop and mask, and
SeriesInstanceUID is in the row as well; where the two name different lesions, theirs are excluded. SeriesDescription
says what is crop and what is mask (file and folder names do not, and some rows have them swapped). Where it is missing,
or says the same of two files, the mask is that which is only black and white.

Label rule: pathology of the row; BENIGN_WITHOUT_CALLBACK (found benign without further work-up, 141 of the 1,696
masses) counts as benign. Read are the *abnormalities* of the source's settings: masses, unless it adds calcifications.
The box is that of the lesion's mask. Where mask and film differ in size, the mask is rescaled (nearest) to the film,
and the log says for how many; where they differ in shape, by over 2 %, the lesion is excluded.
A film or mask that is not there, as in a download that has not ended, excludes its lesions with that reason. Where no
film of the chosen abnormalities is there at all, the crops are taken as ready-made ROIs.

Patients: patient_id, across all tables. The official parts are not used: 18 patients of calc-train are in mass-test,
and 13 of calc-test in mass-train. Exclusion lists name films or lesions by their PatientID, lists of patients films.
Checked on the four tables and five of the crops; films, masks and the Kaggle copy were not at hand.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mammosynth.databases.database import Database, Setting
from mammosynth.databases.files import walk
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source
from mammosynth.databases.pixels import DICOM_SUFFIXES, bounding_box, decode_mask, read_header, read_image, read_size
from mammosynth.databases.rows import Row, read_csv
from mammosynth.errors import InputError
from mammosynth.progress import track

log = logging.getLogger(__name__)

TABLES = {  # the word that PatientID begins with, and the table of each official part
    "mass": ("Mass", {"Training": "mass_case_description_train_set.csv", "Test": "mass_case_description_test_set.csv"}),
    "calcification": (
        "Calc",
        {"Training": "calc_case_description_train_set.csv", "Test": "calc_case_description_test_set.csv"},
    ),
}
FILM_PATH, LESION_PATHS = "image file path", ("cropped image file path", "ROI mask file path")
COLUMNS = (
    "patient_id", "left or right breast", "image view", "abnormality id", "assessment", "pathology", FILM_PATH,
    *LESION_PATHS,
)  # fmt: skip
PATHOLOGY = {"benign": "benign", "benign_without_callback": "benign", "malignant": "malignant"}
KAGGLE, JPEGS = "csv/dicom_info.csv", "jpeg"
HEADER = ("PatientID", "SeriesInstanceUID", "SeriesDescription")
CROP, MASK = "cropped images", "ROI mask images"  # what SeriesDescription says
SHAPE = 0.02  # by which the ratios of width to height of a film and its mask may differ

PUBLISHER = "https://www.cancerimagingarchive.net/wp-content/uploads"
DATABASE = Database(
    title="CBIS-DDSM",
    licence="CC BY 3.0",
    citation='R. S. Lee et al., "A curated mammography data set for use in computer-aided detection and diagnosis '
    'research", Scientific Data 4:170177 (2017), doi 10.7937/K9/TCIA.2016.7O02S9CY',
    tried="its real tables and five of its crops; films, masks and the copy on Kaggle in layouts that our tests write",
    lesions={"benign": 912, "malignant": 784},
    idc={"collection": "cbis_ddsm", "patients": "Mass-"},
    files=[{"address": f"{PUBLISHER}/{table}"} for _, tables in TABLES.values() for table in tables.values()],
    # patients are known, and a hash of a whole film tells the outline of the breast rather than the mass
    near_duplicates=None,
    settings={
        "abnormalities": Setting(
            "Which abnormalities are read.",
            {"type": "array", "items": {"enum": list(TABLES)}, "minItems": 1, "uniqueItems": True},
            default=["mass"],
        ),
    },
)

_PATIENT_ID = re.compile(r"(?P<word>Mass|Calc)-(?:Training|Test)_P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO)(?:_\d+)?", re.ASCII)


@dataclass(frozen=True)
class File:
    """One image file and what its header says."""

    path: Path
    patient_id: str
    series: str
    description: str


@dataclass(frozen=True)
class Finding:
    """One row of a table, with the PatientID of its film and that of its lesion's crop and mask."""

    row: Row
    film: str
    lesion: str
    view: str
    pathology: str

    def series(self) -> Iterator[tuple[str, str]]:
        """Each SeriesInstanceUID of the row, with the PatientID that it goes with."""
        for column in (FILM_PATH, *LESION_PATHS):
            parts = self.row[column].split("/")
            if len(parts) != 4:
                raise InputError(
                    f'{self.row}: {column} is "{self.row[column]}", '
                    "not PatientID/StudyInstanceUID/SeriesInstanceUID/file: restore the table"
                )
            yield parts[2], self.film if column == FILM_PATH else self.lesion


def read(source: Source) -> Reading:
    """The masses, or the abnormalities chosen, of CBIS-DDSM.

    Raises InputError, one for all rows and files at fault, if a table is missing or a row of it does not parse or
    repeats another, no image is there, an image belongs to no row, two are the same film, crop or mask, a header is
    unreadable, or a mask is unreadable or empty.
    """
    kinds = source.settings["abnormalities"]
    findings = [finding for kind in kinds for finding in _read_findings(source, kind)]
    source.check_lists((finding.film for finding in findings), (finding.lesion for finding in findings))
    words = tuple(TABLES[kind][0] for kind in kinds)
    listed = _list_files(source.root)
    files, mistaken = _join(listed, findings, words)
    if not files:
        raise InputError(
            f"{source.root} holds no image of the {' or '.join(kinds)} rows of its tables: "
            f"point root of {source.name} at the folder of the tables and the download"
        )
    crops_only = not any(finding.film in files for finding in findings)
    problems = Problems()
    reading = Reading([])
    rescaled: list[str] = []
    for finding in findings:
        excluded = source.excluded(finding.lesion) or source.excluded(finding.film)
        if not excluded and {finding.film, finding.lesion} & mistaken:
            excluded = "PatientID and SeriesInstanceUID name different lesions"
        with problems.gathered():
            if excluded:
                place = {"excluded": excluded}
            elif crops_only:
                place = _on_crop(files, finding)
            else:
                place = _on_film(files, finding, rescaled)
            reading.lesions.append(_lesion(source, finding, place))
    problems.refuse()
    if rescaled:
        log.warning("%s: masks rescaled to the size of their films: %s", source.name, ", ".join(rescaled))
    return reading


def _lesion(source: Source, finding: Finding, place: dict) -> Lesion:
    # a film that is not there still is one image, which all of its lesions share
    return Lesion(
        lesion_id=f"{source.name}/{finding.lesion}",
        patient_id=finding.row["patient_id"],
        database=source.name,
        modality=source.modality,
        image_id=finding.film,
        **{"image": finding.film, "mask": "", "x0": None, "y0": None, "x1": None, "y1": None} | place,
        pathology=finding.pathology,
        view=finding.view,
        birads=finding.row["assessment"],
    )


def _read_findings(source: Source, kind: str) -> list[Finding]:
    """The rows of the tables of a kind of abnormality."""
    word, tables = TABLES[kind]
    problems = Problems()
    found: dict[str, Finding] = {}
    for part, name in tables.items():
        with problems.gathered():
            for row in _read_table(source, name):
                with problems.gathered():
                    finding = _parse(row, f"{word}-{part}")
                    if finding.lesion in found:
                        raise InputError(f"{row} repeats line {found[finding.lesion].row.number}: keep one of them")
                    found[finding.lesion] = finding
    problems.refuse()
    return list(found.values())


def _read_table(source: Source, name: str) -> list[Row]:
    path = next((path for path in (source.root / name, source.root / "csv" / name) if path.is_file()), None)
    if path is None:
        raise InputError(
            f"{source.root} holds no {name}: put the tables of the collection's page at The Cancer Imaging Archive "
            f"into it, or mend root of {source.name}"
        )
    return read_csv(path, COLUMNS)


def _list_files(root: Path) -> list[File]:
    """The images that are there: those of the copy on Kaggle, by its table, or else DICOM files, by their headers."""
    headers = next((path for path in (root / KAGGLE, root / Path(KAGGLE).name) if path.is_file()), None)
    if headers is not None:
        return _list_jpegs(root, headers)
    found = _list_dicoms(root)
    if not found and (root / JPEGS).is_dir():
        raise InputError(
            f"{root} holds the folder {JPEGS} of the copy on Kaggle but not its {KAGGLE}, which says what each image "
            "is: add that table"
        )
    return found


def _parse(row: Row, prefix: str) -> Finding:
    side = row.choice("left or right breast", ("left", "right")).upper()
    view = row.choice("image view", ("cc", "mlo")).upper()
    film = f"{prefix}_{row.text('patient_id')}_{side}_{view}"
    if not _PATIENT_ID.fullmatch(film):
        raise InputError(f'{row}: patient_id is "{row["patient_id"]}", not as P_00001: restore the table')
    pathology = PATHOLOGY[row.choice("pathology", PATHOLOGY)]
    finding = Finding(row, film, f"{film}_{row.whole('abnormality id')}", f"{side[0]} {view}", pathology)
    list(finding.series())
    return finding


def _list_dicoms(root: Path) -> list[File]:
    """Every DICOM file below the root, by its header."""
    problems = Problems()
    files = []
    for path in track(list(walk(root)), "read headers"):
        if path.suffix.lower() in DICOM_SUFFIXES:
            with problems.gathered():
                files.append(File(path, *read_header(path, HEADER)))
    problems.refuse()
    return files


def _list_jpegs(root: Path, headers: Path) -> list[File]:
    """The images of the copy on Kaggle that are there, by the headers that its table keeps."""
    problems = Problems()
    files = {}
    for row in read_csv(headers, ("image_path", *HEADER)):
        with problems.gathered():
            name = row.place(root, "/".join([JPEGS, *row.text("image_path").split("/")[-2:]]))
            if name in files:
                raise InputError(f"{row} names {name} a second time: keep one of the rows")
            files[name] = File(root / name, *(row[column] for column in HEADER))
    problems.refuse()
    return [file for file in files.values() if file.path.is_file()]


def _join(files: list[File], findings: list[Finding], words: tuple[str, ...]) -> tuple[dict[str, list[File]], set[str]]:
    """The files of each film and lesion, by its PatientID; and those for which a file's series is another one's.

    Files of abnormalities that are not chosen are left aside. Raises InputError for any other without a row.
    """
    known = {name for finding in findings for name in (finding.film, finding.lesion)}
    series = {uid: name for finding in findings for uid, name in finding.series()}
    problems = Problems()
    joined: dict[str, list[File]] = defaultdict(list)
    mistaken: set[str] = set()
    for file in files:
        parsed, of_series = _PATIENT_ID.fullmatch(file.patient_id), series.get(file.series)
        name = file.patient_id if file.patient_id in known else of_series
        if parsed and of_series and file.patient_id != of_series:
            mistaken |= {file.patient_id, of_series}
        elif name:
            joined[name].append(file)
        elif not (parsed and parsed["word"] not in words):
            with problems.gathered():
                raise InputError(
                    f'{file.path} (PatientID "{file.patient_id}") has no row in the tables: '
                    "complete them, or take it out of the folder"
                )
    problems.refuse()
    return joined, mistaken


def _on_crop(files: dict[str, list[File]], finding: Finding) -> dict:
    """A lesion on its crop, which is all of the image."""
    crop, _ = _tell_apart(files.get(finding.lesion, []))
    if crop is None:
        return {"excluded": "crop not downloaded"}
    width, height = read_size(crop.path)
    return {"image": str(crop.path), "x0": 0, "y0": 0, "x1": width, "y1": height}


def _on_film(files: dict[str, list[File]], finding: Finding, rescaled: list[str]) -> dict:
    """A lesion on its film; *rescaled* gathers those whose masks had to be."""
    film = _only(files.get(finding.film, []), "the film")
    if film is None:
        return {"excluded": "full mammogram not downloaded"}
    _, mask = _tell_apart(files.get(finding.lesion, []))
    place = {"image": str(film.path)}
    if mask is None:
        return place | {"excluded": "ROI mask not downloaded"}
    marked = decode_mask(mask.path)
    size = width, height = read_size(film.path)
    if marked.shape != (height, width):
        if abs(marked.shape[1] / marked.shape[0] * height / width - 1) > SHAPE:
            return place | {"mask": str(mask.path), "excluded": "mask and film differ in shape"}
        marked = np.asarray(Image.fromarray(marked).resize(size, Image.Resampling.NEAREST))
        rescaled.append(finding.lesion)
        place["remark"] = "mask rescaled to the size of its film"
    box = dict(zip(("x0", "y0", "x1", "y1"), bounding_box(marked)))
    return place | {"mask": str(mask.path), **box}


def _tell_apart(files: list[File]) -> tuple[File | None, File | None]:
    """The crop and the mask of a lesion, as far as they are there. Raises InputError if there are two of either."""
    crops, masks = ([file for file in files if file.description == kind] for kind in (CROP, MASK))
    if len(crops) + len(masks) < len(files) or len(crops) > 1 or len(masks) > 1:
        masks = [file for file in files if _is_black_and_white(file.path)]
        crops = [file for file in files if file not in masks]
    return _only(crops, "the crop"), _only(masks, "the mask")


def _only(files: list[File], what: str) -> File | None:
    if len(files) > 1:
        raise InputError(f"{files[0].path} and {files[1].path} are both {what} of {files[0].patient_id}: keep one")
    return files[0] if files else None


def _is_black_and_white(path: Path) -> bool:
    """Whether nearly all pixels are black or white, as a mask's are, be it from JPEG."""
    image = read_image(path)
    white = int(image.max())
    return bool(np.mean((image <= white // 16) | (image >= white - white // 16)) > 0.99)
