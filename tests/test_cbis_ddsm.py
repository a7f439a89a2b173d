"""CBIS-DDSM in the layouts of its two archives and of Kaggle, on files that the tests write, and on the real tables."""

import csv
import shutil
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from databases_for_tests import real, settings
from dicom_for_tests import write_dicom
from PIL import Image

from mammosynth.curation import read_lesions
from mammosynth.databases import open_source, read_database
from mammosynth.databases.cbis_ddsm import COLUMNS, TABLES
from mammosynth.errors import InputError

H, W = 90, 60
# part of the collection, patient, side, view, abnormality, pathology, box of the mask
FINDINGS = [
    ("Mass-Training", "P_00001", "LEFT", "CC", "1", "MALIGNANT", (10, 20, 30, 45)),
    ("Mass-Training", "P_00001", "LEFT", "CC", "2", "BENIGN", (5, 5, 12, 17)),
    ("Mass-Training", "P_00001", "LEFT", "MLO", "1", "MALIGNANT", (11, 22, 33, 44)),
    ("Mass-Training", "P_00002", "RIGHT", "CC", "1", "BENIGN_WITHOUT_CALLBACK", (0, 0, 9, 8)),
    ("Mass-Test", "P_00016", "LEFT", "MLO", "1", "BENIGN", (40, 70, 60, 90)),
    ("Calc-Training", "P_00016", "LEFT", "MLO", "1", "MALIGNANT", (1, 2, 13, 14)),
    ("Calc-Test", "P_00038", "RIGHT", "CC", "1", "BENIGN", (21, 22, 33, 34)),
]
NAMES = {f"{word}-{part}": name for word, tables in TABLES.values() for part, name in tables.items()}


def film_id(finding):
    return "_".join(finding[:4])


def lesion_id(finding):
    return "_".join(finding[:5])


def series(name):
    """A SeriesInstanceUID, the same for the same name."""
    return "1.3.6.1.4.1.9590.100.1.2." + str(zlib.crc32(name.encode()))


def rows(part):
    """Rows of a table, with its traps: crop and mask named the wrong way round, a newline at the end of a path."""
    for finding in FINDINGS:
        if finding[0] == part:
            lesion = f"{lesion_id(finding)}/1.2.3/{series(lesion_id(finding))}"
            film = f"{film_id(finding)}/1.2.3/{series(film_id(finding))}/000000.dcm"
            yield [*finding[1:5], "4", finding[5], film, f"{lesion}/000001.dcm", f"{lesion}/000000.dcm\n"]


def write_tables(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in NAMES.items():
        density = "breast_density" if part.startswith("Mass") else "breast density"
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*COLUMNS, density])
            writer.writerows([*row, "3"] for row in rows(part))


def pixels(finding):
    """Film, crop and mask of a lesion."""
    rng = np.random.default_rng(len(film_id(finding)))
    film = rng.integers(10000, 60000, (H, W)).astype(np.uint16)
    x0, y0, x1, y1 = finding[-1]
    mask = np.zeros((H, W), dtype=np.uint8)
    mask[y0:y1, x0:x1] = 255
    return film, film[y0:y1, x0:x1].copy(), mask


def archive(root, finding, what):
    """As The Cancer Imaging Archive lays files; the folders of the crops lie, as they do there."""
    name = film_id(finding) if what == "full mammogram images" else lesion_id(finding)
    file = {"full mammogram images": "1-1.dcm", "cropped images": "1-1.dcm", "ROI mask images": "1-2.dcm"}[what]
    folder = "full mammogram images" if what.startswith("full") else "ROI mask images"
    return root / f"CBIS-DDSM/{name}/07-20-2016-DDSM-74994/1.000000-{folder}-{series(name)[-5:]}/{file}"


def commons(root, finding, what):
    """As the Imaging Data Commons lays files."""
    name = film_id(finding) if what == "full mammogram images" else lesion_id(finding)
    return root / f"cbis_ddsm/{name}/1.2.3/MG_{series(name)}/{what.encode().hex()[:8]}-4af7.dcm"


KINDS = ("full mammogram images", "cropped images", "ROI mask images")


def write_files(root, layout, kinds=KINDS, findings=FINDINGS, describe=lambda what: what):
    for finding in findings:
        for what, image in zip((KINDS), pixels(finding)):
            if what in kinds:
                name = film_id(finding) if what == "full mammogram images" else lesion_id(finding)
                header = {"PatientID": name, "SeriesInstanceUID": series(name), "SeriesDescription": describe(what)}
                write_dicom(layout(root, finding, what), image, **header)


@pytest.fixture(params=[archive, commons])
def download(request, tmp_path):
    write_tables(tmp_path)
    write_files(tmp_path, request.param)
    return tmp_path


def write_cbis_ddsm(root):
    """A small CBIS-DDSM as The Cancer Imaging Archive lays it."""
    write_tables(root)
    write_files(root, archive)


@pytest.fixture
def small(tmp_path):
    write_cbis_ddsm(tmp_path)
    return tmp_path


def read(root, **more):
    return read_database(open_source("db", settings("cbis_ddsm", root, **more))).lesions


def boxes(lesions):
    return {lesion.lesion_id: (lesion.x0, lesion.y0, lesion.x1, lesion.y1) for lesion in lesions if not lesion.excluded}


def masses(findings=FINDINGS):
    return [finding for finding in findings if finding[0].startswith("Mass")]


def test_masses_are_boxes_of_their_masks_on_their_films(download):
    lesions = read(download)
    assert boxes(lesions) == {f"db/{lesion_id(finding)}": finding[-1] for finding in masses()}
    assert [lesion.pathology for lesion in lesions] == ["malignant", "benign", "malignant", "benign", "benign"]
    assert [lesion.patient_id for lesion in lesions] == ["P_00001"] * 3 + ["P_00002", "P_00016"]
    assert [lesion.view for lesion in lesions] == ["L CC", "L CC", "L MLO", "R CC", "L MLO"]
    assert {lesion.birads for lesion in lesions} == {"4"}
    assert lesions[0].image == lesions[1].image != lesions[2].image
    for lesion in lesions:
        header = lesion.lesion_id.removeprefix("db/").rpartition("_")[0]
        assert header in lesion.image
        assert lesion.mask != lesion.image


def test_calcifications_are_read_where_they_are_asked_for(download):
    lesions = read(download, abnormalities=["mass", "calcification"])
    assert boxes(lesions) == {f"db/{lesion_id(finding)}": finding[-1] for finding in FINDINGS}
    # a patient of calc-train and mass-test is one patient, whatever the official parts
    lesions = read_lesions({"db": settings("cbis_ddsm", download, abnormalities=["calcification", "mass"])})
    assert len(lesions.loc[lesions["patient_id"] == "P_00016", "group"].unique()) == 1
    assert len(lesions["group"].unique()) == 4


def test_both_views_of_a_patient_and_all_lesions_of_a_film_are_one_group(small):
    lesions = read_lesions({"db": settings("cbis_ddsm", small)})
    assert Counter(lesions["group"]) == {"db/P_00001": 3, "db/P_00002": 1, "db/P_00016": 1}


def test_without_a_description_the_mask_is_what_is_black_and_white(tmp_path):
    write_tables(tmp_path)
    write_files(tmp_path, archive, describe=lambda what: None)
    assert boxes(read(tmp_path)) == {f"db/{lesion_id(finding)}": finding[-1] for finding in masses()}


def test_two_files_of_one_description_are_told_apart(tmp_path):
    write_tables(tmp_path)
    write_files(tmp_path, archive, describe=lambda what: what if what.startswith("full") else "cropped images")
    assert boxes(read(tmp_path)) == {f"db/{lesion_id(finding)}": finding[-1] for finding in masses()}


def test_a_mask_of_another_size_is_rescaled_and_the_log_says_so(small, caplog):
    first, second = FINDINGS[0], FINDINGS[2]
    header = {"SeriesDescription": "ROI mask images"}
    for finding, shape in ((first, (2 * H, 2 * W)), (second, (H, W + 5))):
        mask = np.zeros(shape, dtype=np.uint8)
        mask[40:90, 20:60] = 255
        name = lesion_id(finding)
        write_dicom(
            archive(small, finding, "ROI mask images"), mask, PatientID=name, SeriesInstanceUID=series(name), **header
        )
    lesions = read(small)
    assert boxes(lesions)[f"db/{lesion_id(first)}"] == (10, 20, 30, 45)
    assert "masks rescaled to the size of their films: Mass-Training_P_00001_LEFT_CC_1" in caplog.text
    assert [lesion.excluded for lesion in lesions] == ["", "", "mask and film differ in shape", "", ""]
    assert [lesion.remark for lesion in lesions] == ["mask rescaled to the size of its film", *[""] * 4]


def test_what_is_not_downloaded_is_excluded_with_that_reason(small):
    archive(small, FINDINGS[2], "full mammogram images").unlink()
    archive(small, FINDINGS[3], "ROI mask images").unlink()
    archive(small, FINDINGS[4], "cropped images").unlink()  # not needed beside film and mask
    lesions = read(small)
    assert [lesion.excluded for lesion in lesions] == [
        "", "", "full mammogram not downloaded", "ROI mask not downloaded", "",
    ]  # fmt: skip
    assert lesions[2].x0 is None
    assert len(read_lesions({"db": settings("cbis_ddsm", small)})["group"].unique()) == 3


def test_crops_alone_are_ready_made_rois(tmp_path):
    write_tables(tmp_path)
    write_files(tmp_path, commons, kinds=("cropped images", "ROI mask images"), findings=FINDINGS[:4])
    lesions = read(tmp_path)
    sizes = {f"db/{lesion_id(f)}": (0, 0, f[-1][2] - f[-1][0], f[-1][3] - f[-1][1]) for f in FINDINGS[:4]}
    assert boxes(lesions) == sizes
    assert [lesion.excluded for lesion in lesions] == [""] * 4 + ["crop not downloaded"]
    for lesion in lesions[:4]:
        assert Path(lesion.image) == commons(tmp_path, FINDINGS[lesions.index(lesion)], "cropped images")


def test_a_file_whose_header_names_two_lesions_excludes_both(small):
    name, other = lesion_id(FINDINGS[0]), lesion_id(FINDINGS[3])
    _, _, mask = pixels(FINDINGS[0])
    header = {"PatientID": name, "SeriesInstanceUID": series(other), "SeriesDescription": "ROI mask images"}
    write_dicom(archive(small, FINDINGS[0], "ROI mask images"), mask, **header)
    excluded = "PatientID and SeriesInstanceUID name different lesions"
    assert [lesion.excluded for lesion in read(small)] == [excluded, "", "", excluded, ""]


def test_an_unknown_patient_id_is_found_by_its_series(small):
    film, _, _ = pixels(FINDINGS[4])
    header = {"PatientID": "anonymous", "SeriesInstanceUID": series(film_id(FINDINGS[4]))}
    path = write_dicom(archive(small, FINDINGS[4], "full mammogram images"), film, **header)
    assert read(small)[4].image == str(path)


def test_films_and_lesions_can_be_excluded_by_name_and_are_not_opened(small, tmp_path):
    path = archive(small, FINDINGS[3], "ROI mask images")
    path.write_bytes(path.read_bytes()[:-1000])
    (tmp_path / "list.csv").write_text(
        f"image,reason\n{film_id(FINDINGS[3])},cut short\n{lesion_id(FINDINGS[1])},blurred\n"
    )
    lesions = read(small, exclusions=str(tmp_path / "list.csv"))
    assert [lesion.excluded for lesion in lesions] == [
        "", "exclusion list: blurred", "", "exclusion list: cut short", "",
    ]  # fmt: skip
    (tmp_path / "list.csv").write_text("image,reason\nP_00001,x\n")
    with pytest.raises(InputError, match=r"exclusion list of db names .P_00001., which the database does not hold"):
        read(small, exclusions=str(tmp_path / "list.csv"))


@pytest.fixture
def kaggle(tmp_path):
    """The copy in JPEG: dicom_info.csv says the headers, of which some lack the description."""
    write_tables(tmp_path / "csv")
    lines = [("file_path", "image_path", "PatientID", "SeriesDescription", "SeriesInstanceUID", "Rows", "Columns")]
    for n, finding in enumerate(FINDINGS):
        for k, (what, image) in enumerate(zip(KINDS, pixels(finding))):
            name = film_id(finding) if what == "full mammogram images" else lesion_id(finding)
            path = tmp_path / f"jpeg/{series(name)}/{k}-{n:03d}.jpg"
            if what == "full mammogram images" and path.parent.is_dir():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image // 257).astype(np.uint8) if image.dtype == np.uint16 else image).save(path)
            described = "" if n == 2 else what
            place = path.relative_to(tmp_path).as_posix()
            lines.append((f"CBIS-DDSM/dicom/{series(name)}", f"CBIS-DDSM/{place}", name, described, series(name), H, W))
    with open(tmp_path / "csv/dicom_info.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(dict.fromkeys(lines))
    return tmp_path


def test_the_copy_on_kaggle_has_the_same_lesions(kaggle, small):
    lesions = read(kaggle, abnormalities=["mass", "calcification"])
    assert boxes(lesions) == {f"db/{lesion_id(finding)}": finding[-1] for finding in FINDINGS}
    assert {Path(lesion.image).suffix for lesion in lesions} == {".jpg"}


def test_nothing_outside_the_folder_of_jpegs_is_opened(kaggle):
    path = kaggle / "csv/dicom_info.csv"
    text = path.read_text()
    film = f"{series(film_id(FINDINGS[2]))}/0-002.jpg"
    assert film in text
    path.write_text(text.replace(f"CBIS-DDSM/jpeg/{film}", "../../outside.jpg"))
    shutil.copy(kaggle / "jpeg" / film, kaggle.parent / "outside.jpg")
    assert read(kaggle)[2].excluded == "full mammogram not downloaded"


def test_bad_kaggle_tables_are_refused(kaggle):
    path = kaggle / "csv/dicom_info.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[3]]))
    with pytest.raises(InputError, match=rf"dicom_info\.csv, line {len(lines) + 1} names jpeg/.* a second time"):
        read(kaggle)
    path.write_text("\n".join(line.partition(",")[2] for line in lines).replace("image_path", "path"))
    with pytest.raises(InputError, match=r"dicom_info\.csv has no column image_path"):
        read(kaggle)


def test_the_copy_on_kaggle_without_its_table_of_headers_is_refused(kaggle):
    table = kaggle / "csv/dicom_info.csv"
    table.rename(kaggle / "dicom_info.csv")
    assert len(read(kaggle)) == 5  # the tables may lie in the root, and so may this one
    (kaggle / "dicom_info.csv").unlink()
    with pytest.raises(InputError, match=r"holds the folder jpeg of the copy on Kaggle but not its csv/dicom_info"):
        read(kaggle)


def test_films_may_be_listed_as_one_patients(small, tmp_path):
    rows = ["image,patient", f"{film_id(FINDINGS[0])},P_00001", f"{film_id(FINDINGS[3])},P_00001"]
    (tmp_path / "patients.csv").write_text("\n".join(rows))
    assert [x.patient_id for x in read(small, patients=str(tmp_path / "patients.csv"))] == ["P_00001"] * 4 + ["P_00016"]


def change(root, name, old, new):
    text = (root / NAMES[name]).read_text()
    assert old in text
    (root / NAMES[name]).write_text(text.replace(old, new, 1))


def no_table(root):
    (root / NAMES["Mass-Test"]).unlink()


def repeated(root):
    path = root / NAMES["Mass-Test"]
    path.write_text(path.read_text() + "\n".join(path.read_text().splitlines()[1:]))


def semicolons(root):
    path = root / NAMES["Mass-Test"]
    with open(path, encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL).writerows(table)


def other_pathology(root):
    change(root, "Mass-Training", "MALIGNANT", "MALIGN")


def other_side(root):
    change(root, "Mass-Training", "LEFT", "LFT")


def other_patient(root):
    change(root, "Mass-Test", "P_00016,", "../P_00016,")


def text_for_a_number(root):
    change(root, "Mass-Training", "CC,1,", "CC,one,")


def other_path(root):
    change(root, "Mass-Training", "/1.2.3/", "/")


def no_row(root):
    path = root / NAMES["Mass-Test"]
    path.write_text(path.read_text().splitlines()[0] + "\n")


def nothing_downloaded(root):
    shutil.rmtree(root / "CBIS-DDSM")


def cut_header(root):
    path = archive(root, FINDINGS[0], "full mammogram images")
    path.write_bytes(path.read_bytes()[:150])


def empty_file(root):
    archive(root, FINDINGS[0], "cropped images").write_bytes(b"")


def cut_mask(root):
    path = archive(root, FINDINGS[0], "ROI mask images")
    path.write_bytes(path.read_bytes()[:-1000])


def black_mask(root):
    name = lesion_id(FINDINGS[0])
    header = {"PatientID": name, "SeriesInstanceUID": series(name), "SeriesDescription": "ROI mask images"}
    write_dicom(archive(root, FINDINGS[0], "ROI mask images"), np.zeros((H, W), np.uint8), **header)


def two_films(root):
    path = archive(root, FINDINGS[0], "full mammogram images")
    shutil.copy(path, path.with_name("copy.dcm"))


FAULTS = {
    no_table: r"holds no mass_case_description_test_set\.csv: put the tables",
    semicolons: r"test_set\.csv separates its columns by semicolons: save it anew as CSV in UTF-8, with commas",
    repeated: r"test_set\.csv, line 5 repeats line 3",
    other_pathology: r'train_set\.csv, line 3: pathology is "MALIGN", not benign or',
    other_side: r'line 3: left or right breast is "LFT"',
    other_patient: r'patient_id is "\.\./P_00016", not as P_00001',
    text_for_a_number: r'line 3: abnormality id is "one", not a whole number',
    other_path: r"not PatientID/StudyInstanceUID/SeriesInstanceUID/file: restore the table",
    no_row: r'PatientID "Mass-Test_P_00016_LEFT_MLO"\) has no row in the tables',
    nothing_downloaded: r"holds no image of the mass rows of its tables: point root of db",
    cut_header: r"1-1\.dcm cannot be read as an image .*: download it again, or take it out of the folder",
    empty_file: r"1-1\.dcm cannot be read as an image .*: download it again",
    cut_mask: r"1-2\.dcm cannot be read as an image .*: repair it, or list it",
    black_mask: r"1-2\.dcm marks no pixel",
    two_films: r"1-1\.dcm and .*copy\.dcm are both the film of Mass-Training_P_00001_LEFT_CC: keep one",
}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_faults_are_named(small, spoil):
    spoil(small)
    with pytest.raises(InputError, match=FAULTS[spoil]):
        read(small)


def test_real_tables_and_crops():
    root = real("cbis-ddsm")
    lesions = read(root)
    assert len(lesions) == 1318 + 378
    assert len({lesion.patient_id for lesion in lesions}) == 691 + 201
    assert Counter(lesion.pathology for lesion in lesions) == {"malignant": 637 + 147, "benign": 577 + 104 + 194 + 37}
    usable = {lesion.lesion_id.removeprefix("db/"): lesion for lesion in lesions if not lesion.excluded}
    assert {name: (x.x1, x.y1) for name, x in usable.items()} == {
        "Mass-Test_P_00016_LEFT_CC_1": (385, 384),
        "Mass-Test_P_00116_RIGHT_MLO_1": (286, 483),  # in a folder that calls it a mask
        "Mass-Test_P_00116_RIGHT_MLO_2": (497, 486),
    }
    assert {lesion.excluded for lesion in lesions} == {"", "crop not downloaded"}
    everything = read(root, abnormalities=["mass", "calcification"])
    assert len(everything) == 1318 + 378 + 1546 + 326
    assert sum(not lesion.excluded for lesion in everything) == 5
    assert len({lesion.patient_id for lesion in everything}) < 691 + 201 + 602 + 151 - 18 - 13 + 1
