"""INbreast, on files that the tests write in its layout."""

import plistlib
from collections import Counter

import numpy as np
import pytest
from databases_for_tests import settings
from dicom_for_tests import write_dicom

from mammosynth.curation import read_lesions
from mammosynth.databases import open_source, read_database
from mammosynth.databases.inbreast import contour_box
from mammosynth.errors import InputError

H, W = 80, 50
IMAGES = {  # number: patient, side, view, BI-RADS, contours
    "20586908": ("6c613a14b80a8591", "R", "CC", "2", [("Mass", (10.5, 20.25, 30.75, 40.0)), ("Calcification", None)]),
    "20586934": ("6c613a14b80a8591", "L", "ML", "4a", [("mass ", (5, 6, 12, 17)), ("Mass", (0, 60, 49.5, 79.5))]),
    "22580041": ("f3fa5ec5aa9c2bbe", "L", "CC", "6 ", [("Mass", (3, 3, 9, 9)), ("Spiculated Region", (1, 1, 11, 11))]),
    "22613650": ("0000aaaabbbbcccc", "R", "ML", "3", [("Calcification", None)]),
    "22613702": ("0000aaaabbbbcccc", "R", "CC", "1", []),
}
HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"


def contour(name, box):
    """A region of interest as OsiriX writes it: an ellipse in a box, or a point."""
    if box is None:
        points = [(7.0, 8.0)]
    else:
        x0, y0, x1, y1 = box
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        points = zip((x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(angles), (y0 + y1) / 2 + (y1 - y0) / 2 * np.sin(angles))
    texts = [f"({x:f}, {y:f})" for x, y in points]
    return {"Area": 0.1, "Name": name, "NumberOfPoints": len(texts), "Point_px": texts, "Type": 15}


def write_contours(path, rois):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(plistlib.dumps({"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}))


def dicom(root, number):
    patient, side, view, _, _ = IMAGES[number]
    return root / f"AllDICOMs/{number}_{patient}_MG_{side}_{view}_ANON.dcm"


def write_inbreast(root):
    """A small INbreast in its layout."""
    rng = np.random.default_rng(0)
    lines = [HEADER]
    for number, (_, side, view, birads, contours) in IMAGES.items():
        write_dicom(dicom(root, number), rng.integers(0, 4096, (H, W)).astype(np.uint16), 12)
        if contours:
            write_contours(root / f"AllXML/{number}.xml", [contour(*found) for found in contours])
        lines.append(f"removed;removed;{side};{view};201001;{number};4;{birads}")
    (root / "INbreast.csv").write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")


@pytest.fixture
def small(tmp_path):
    write_inbreast(tmp_path)
    return tmp_path


def read(root, **more):
    return read_database(open_source("db", settings("inbreast", root, **more)))


def test_masses_are_boxes_of_their_contours(small):
    reading = read(small)
    assert {x.lesion_id: (x.x0, x.y0, x.x1, x.y1) for x in reading.lesions} == {
        "db/20586908-1": (10, 20, 31, 41),
        "db/20586934-1": (5, 6, 13, 18),
        "db/20586934-2": (0, 60, 50, 80),
        "db/22580041-1": (3, 3, 10, 10),
    }
    assert [x.pathology for x in reading.lesions] == ["benign", "malignant", "malignant", "malignant"]
    assert [x.birads for x in reading.lesions] == ["2", "4a", "4a", "6"]
    assert [x.view for x in reading.lesions] == ["R CC", "L MLO", "L MLO", "L CC"]
    assert [path.name[:8] for path in reading.normals] == ["22613702"]
    assert {path.name[:8]: what for path, what in reading.passed_over.items()} == {
        "22613650": "no mass but Calcification"
    }
    assert {x.age for x in reading.lesions} == {""}


@pytest.mark.parametrize(("number", "birads"), [("20586908", "2"), ("20586934", "4a"), ("22613650", "3")])
@pytest.mark.parametrize("missing", ["file", "contours"])
def test_a_finding_without_contours_is_not_normal_and_is_told(small, caplog, number, birads, missing):
    """Only an image of BI-RADS 1 needs no contours."""
    before = read(small)
    path = small / f"AllXML/{number}.xml"
    if missing == "file":
        path.unlink()
    else:
        write_contours(path, [])
    reading = read(small)
    assert reading.normals == before.normals
    assert number not in "".join(x.image for x in reading.lesions)
    what = f"BI-RADS {birads} but no {'file in AllXML' if missing == 'file' else 'contours'}"
    assert reading.passed_over[dicom(small, number)] == what
    assert "1 images have findings that no contour shows, and are passed over; if AllXML is not complete" in caplog.text
    assert f"{number} ({what})" in caplog.text


def test_the_category_of_an_image_without_contours_is_checked_too(small):
    change(small, "22613702;4;1", "22613702;4;none")
    with pytest.raises(InputError, match=r'INbreast\.csv, line 6: Bi-Rads is "none", not 0 or 1'):
        read(small)


def test_the_folder_of_the_release_is_found(small, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    small.rename(above / "INbreast Release 1.0")
    assert len(read(above).lesions) == 4


def test_a_patient_is_the_same_in_all_images(small):
    lesions = read_lesions({"db": settings("inbreast", small)})
    assert Counter(lesions["group"]) == {"db/6c613a14b80a8591": 3, "db/f3fa5ec5aa9c2bbe": 1}


def test_birads_categories_can_be_given_another_class_or_none(small):
    lesions = read(small, birads={"benign": [2, "4a"], "malignant": [5]}).lesions
    assert [x.pathology for x in lesions] == ["benign", "benign", "benign", ""]
    assert [x.excluded for x in lesions] == ["", "", "", "BI-RADS 6 counts as neither class"]
    with pytest.raises(InputError, match=r"sources\.db\.birads: 2 stands in both lists"):
        read(small, birads={"benign": [2, 3], "malignant": ["2", 5]})


def test_lesions_of_neither_class_pass_through_curation(small):
    lesions = read_lesions({"db": settings("inbreast", small, birads={"benign": [2], "malignant": [6]})})
    assert list(lesions["excluded"]) == ["", *["BI-RADS 4a counts as neither class"] * 2, ""]


def test_odd_contours_are_excluded_with_their_reason(small):
    rois = [contour("Mass", None), contour("Mass", (90, 10, 99, 20)), contour("Mass", (40, 70, 60, 90))]
    write_contours(small / "AllXML/20586908.xml", rois)
    lesions = read(small).lesions
    assert [x.excluded for x in lesions[:3]] == ["mass without a contour", "contour beside the image", ""]
    assert (lesions[2].x0, lesions[2].y0, lesions[2].x1, lesions[2].y1) == (40, 70, 50, 80)
    assert contour_box([(-4.5, -2.0), (3.5, 1.0), (2.0, 7.9)], (W, H)) == (0, 0, 4, 8)


def test_excluded_images_are_not_opened(small, tmp_path):
    dicom(small, "20586908").write_bytes(b"")
    (tmp_path / "list.csv").write_text(
        f"image,reason\nAllDICOMs/{dicom(small, '20586908').name},empty\nAllDICOMs/{dicom(small, '22613702').name},x\n"
    )
    reading = read(small, exclusions=str(tmp_path / "list.csv"))
    assert reading.lesions[0].excluded == "exclusion list: empty"
    assert reading.normals == []


def change(root, old, new):
    text = (root / "INbreast.csv").read_text(encoding="utf-8-sig")
    assert old in text
    (root / "INbreast.csv").write_text(text.replace(old, new, 1))


def no_table(root):
    (root / "INbreast.csv").unlink()


def excel(root):
    (root / "INbreast.csv").rename(root / "INbreast.xls")


def commas(root):
    change(root, HEADER, HEADER.replace(";", ","))


def no_column(root):
    change(root, "Bi-Rads", "Category")


def no_category(root):
    change(root, ";4;4a", ";4;4d")


def twice(root):
    change(root, "22580041", "20586908")


def no_row(root):
    change(root, "22613702", "")


def no_image(root):
    dicom(root, "22613702").unlink()


def contours_of_no_image(root):
    dicom(root, "22580041").unlink()


def empty_image(root):
    dicom(root, "22580041").write_bytes(b"")


def other_name(root):
    dicom(root, "22580041").rename(root / "AllDICOMs/22580041.dcm")


def cut_contours(root):
    path = root / "AllXML/22580041.xml"
    path.write_bytes(path.read_bytes()[:300])


def no_contours(root):
    (root / "AllXML/22580041.xml").write_bytes(b"")


def other_list(root):
    (root / "AllXML/22580041.xml").write_bytes(plistlib.dumps({"Images": [{"ROIs": [{"Name": "Mass"}]}]}))


def bad_point(root):
    path = root / "AllXML/22580041.xml"
    path.write_bytes(path.read_bytes().replace(b"(9.0", b"(9,0", 1))


def no_mass(root):
    for path in (root / "AllXML").iterdir():
        path.unlink()


FAULTS = {
    no_table: r"INbreast\.csv does not exist",
    excel: r"holds no INbreast\.csv: save INbreast\.xls as that, with semicolons",
    commas: r"INbreast\.csv separates its columns by commas: save it anew as CSV in UTF-8, with semicolons",
    no_column: r"INbreast\.csv has no column Bi-Rads",
    no_category: r'INbreast\.csv, line 3: Bi-Rads is "4d", not 0 or 1',
    twice: r'INbreast\.csv, line 4 repeats File Name "20586908" of line 2',
    no_row: r"22613702_.*\.dcm has no row in INbreast\.csv",
    no_image: r"INbreast\.csv, line 6 names 22613702, which is not in AllDICOMs",
    contours_of_no_image: r"22580041\.xml has no image in AllDICOMs",
    empty_image: r"22580041_.*\.dcm cannot be read as an image",
    other_name: r"22580041\.dcm is not named as INbreast names its files",
    cut_contours: r"22580041\.xml is no property list of OsiriX .*: restore the file",
    no_contours: r"22580041\.xml is no property list of OsiriX",
    other_list: r"22580041\.xml is no property list of OsiriX .*Point_px",
    bad_point: r'22580041\.xml is no property list of OsiriX .*"\(9,0.*" is no point',
    no_mass: r"AllXML holds no contour named Mass",
}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_faults_are_named(small, spoil):
    spoil(small)
    with pytest.raises(InputError, match=FAULTS[spoil]):
        read(small)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no folder AllDICOMs: point root of db"):
        read(tmp_path)
