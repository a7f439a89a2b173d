"""UDIAT, BUS-BRA and BrEaST-Lesions-USG: what their readers find in the original layouts, and what they refuse."""

import shutil

import numpy as np
import openpyxl
import pytest
from databases_for_tests import BOXES, LABELS, SMALL, mask_of, picture, real, save, save_csv, save_excel, settings
from PIL import Image

from mammosynth.curation import load_lesions, read_lesions, save_lesions
from mammosynth.databases import open_source, read_database
from mammosynth.databases.pixels import bounding_box, read_image
from mammosynth.errors import InputError

READERS = ["udiat", "bus_bra", "breast_lesions_usg"]


def read(reader, root, **more):
    return read_database(open_source("db", settings(reader, root, **more)))


def boxes(lesions):
    return [(lesion.x0, lesion.y0, lesion.x1, lesion.y1) for lesion in lesions]


def sheet_of(path):
    return [list(cells) for cells in openpyxl.load_workbook(path).active.values]


@pytest.fixture
def udiat(tmp_path):
    SMALL["udiat"](tmp_path)
    return tmp_path


@pytest.fixture
def bus_bra(tmp_path):
    SMALL["bus_bra"](tmp_path)
    return tmp_path


@pytest.fixture
def brest(tmp_path):
    SMALL["breast_lesions_usg"](tmp_path)
    return tmp_path


def test_udiat(udiat):
    reading = read("udiat", udiat)
    assert [lesion.pathology for lesion in reading.lesions] == LABELS
    assert boxes(reading.lesions) == BOXES
    assert [(lesion.lesion_id, lesion.patient_id) for lesion in reading.lesions[:2]] == [
        ("db/000001", "000001"),
        ("db/000002", "000002"),
    ]
    assert reading.lesions[0].image == str(udiat / "original/000001.png")
    assert reading.lesions[0].mask == str(udiat / "GT/000001.png")
    assert reading.normals == []


def test_udiat_ids_that_excel_took_for_numbers_get_their_zeros_back(udiat):
    rows = [[cell if cell == "Image" else int(cell), *others] for cell, *others in sheet_of(udiat / "DatasetB.xlsx")]
    rows[2][0] = 2.0
    save_excel(rows, udiat / "DatasetB.xlsx")
    assert [lesion.lesion_id for lesion in read("udiat", udiat).lesions] == [f"db/{n:06d}" for n in range(1, 5)]


def test_bus_bra(bus_bra):
    lesions = read("bus_bra", bus_bra).lesions
    assert [lesion.lesion_id for lesion in lesions[:3]] == ["db/bus_0001-l", "db/bus_0001-r", "db/bus_0002-s"]
    assert [lesion.patient_id for lesion in lesions] == ["1", "1", "2", "3", "4", "5"]
    assert [lesion.view for lesion in lesions] == ["left", "right", "single", "single", "left", "right"]
    assert [lesion.pathology for lesion in lesions] == ["malignant", "malignant", "benign", *LABELS[1::-1], "malignant"]
    assert boxes(lesions) == [*BOXES, *BOXES[:2]]
    assert {lesion.excluded for lesion in lesions} == {""}
    assert {lesion.official_fold for lesion in lesions} == {None}
    assert {lesion.birads for lesion in lesions} == {"4"}


def test_bus_bra_is_found_below_its_root(bus_bra, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    shutil.copytree(bus_bra, above / "BUSBRA")
    assert len(read("bus_bra", above).lesions) == 6


@pytest.mark.parametrize(("shift", "elsewhere"), [(-1, False), (1, False), (2, False), (3, True), (40, True)])
def test_the_mask_is_used_where_bbox_is_wrong_and_that_is_said(bus_bra, caplog, shift, elsewhere):
    """In the real table BBOX lies a pixel up and left of each mask, and is wrong for 0845-s, whose mask is right."""
    x0, y0, _, _ = BOXES[0]
    text = (bus_bra / "bus_data.csv").read_text()
    old = f'bus_0001-l,1,Fibroadenoma,malignant,4,GE,80,60,left,"[{x0 + 1},{y0 + 1},'
    assert old in text
    (bus_bra / "bus_data.csv").write_text(text.replace(old, old.replace(f"[{x0 + 1}", f"[{x0 + shift}")))
    lesions = read("bus_bra", bus_bra).lesions
    assert boxes(lesions) == [*BOXES, *BOXES[:2]]
    assert {lesion.excluded for lesion in lesions} == {""}
    remark = "BBOX of bus_data.csv is elsewhere: the mask is used" if elsewhere else ""
    assert [lesion.remark for lesion in lesions] == [remark, *[""] * 5]
    assert ("db/bus_0001-l: its mask is at (10, 20, 40, 50), and BBOX" in caplog.text) == elsewhere


def test_two_masks_of_bus_bra_that_are_swapped_are_noticed(bus_bra):
    masks = [bus_bra / f"Masks/mask_{name}.png" for name in ("0002-s", "0003-s")]
    first, second = (path.read_bytes() for path in masks)
    masks[0].write_bytes(second)
    masks[1].write_bytes(first)
    excluded = {lesion.lesion_id: lesion.excluded for lesion in read("bus_bra", bus_bra).lesions if lesion.excluded}
    assert excluded == {
        "db/bus_0002-s": "its mask is where BBOX of db/bus_0003-s is",
        "db/bus_0003-s": "its mask is where BBOX of db/bus_0002-s is",
    }


def test_the_official_folds_of_bus_bra_count_from_0(bus_bra):
    lesions = read("bus_bra", bus_bra, official_folds=5).lesions
    assert [lesion.official_fold for lesion in lesions] == [0, 0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"10-fold-cv\.csv does not exist: add the file of the database, or leave out"):
        read("bus_bra", bus_bra, official_folds=10)


def test_official_folds_survive_the_table_of_lesions(bus_bra, tmp_path):
    lesions = read_lesions({"db": settings("bus_bra", bus_bra, official_folds=5)})
    save_lesions(lesions, tmp_path / "lesions.csv")
    assert load_lesions(tmp_path / "lesions.csv")["official_fold"].tolist() == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("bus_0002-s,benign,2", "bus_0002-s,benign,6"), r"5-fold-cv\.csv, line 4: kFold is 6, not 1 to 5"),
        (("bus_0002-s,benign,2", "bus_0002-s,benign,one"), r'line 4: kFold is "one", not a whole number'),
        (("bus_0002-s,benign,2", "bus_9999-s,benign,2"), r'bus_data\.csv, line 4: .* has no fold for "bus_0002-s"'),
        (("bus_0002-s,benign,2", "bus_0001-r,benign,2"), r'line 4 repeats ID "bus_0001-r" of line 3'),
    ],
)
def test_official_folds_that_do_not_hold_every_image_once_are_refused(bus_bra, change, message):
    path = bus_bra / "5-fold-cv.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(InputError, match=message):
        read("bus_bra", bus_bra, official_folds=5)
    assert len(read("bus_bra", bus_bra).lesions) == 6  # they are read where they are asked for only


def test_breast_lesions_usg(brest):
    reading = read("breast_lesions_usg", brest)
    lesions = reading.lesions
    assert [lesion.pathology for lesion in lesions] == LABELS
    assert boxes(lesions) == [(10, 20, 64, 50), *BOXES[1:]]  # the first has two masks; what is "other" is no lesion
    assert lesions[0].mask == f"{brest / 'case001_tumor.png'};{brest / 'case001_tumor2.png'}"
    assert [lesion.patient_id for lesion in lesions] == ["1", "2", "3", "4"]
    assert [path.name for path in reading.normals] == ["case005.png"]
    assert [(lesion.age, lesion.birads) for lesion in lesions] == [(f"{40 + n}", "4a") for n in range(1, 5)]


def test_breast_lesions_usg_images_may_lie_in_a_folder_below(brest):
    folder = brest / "BrEaST-Lesions_USG-images_and_masks"
    folder.mkdir()
    for path in brest.glob("case*.png"):
        path.rename(folder / path.name)
    assert len(read("breast_lesions_usg", brest).lesions) == 4
    shutil.copy(folder / "case001.png", brest)
    with pytest.raises(InputError, match="unpack them into one folder"):
        read("breast_lesions_usg", brest)
    shutil.rmtree(folder)
    (brest / "case001.png").unlink()
    with pytest.raises(InputError, match=r"images such as case001\.png lie in no folder"):
        read("breast_lesions_usg", brest)


def test_rgba_images_are_read_as_grey(brest):
    assert np.array_equal(read_image(brest / "case002.png"), picture(2))
    assert Image.open(brest / "case002.png").mode == "RGBA"
    assert bounding_box(read_image(brest / "case002_tumor.png") > 0) == BOXES[1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1, "case001.png", None, None, 41, "4a", "benign"], "line 2 is benign and has 0 tumour masks"),
        ([5, "case005.png", "case001_tumor.png", None, 41, "1", "normal"], "line 6 is normal and has 1 tumour masks"),
        (
            [1, "case001.png", "case001_tumor.png", None, 41, "4a", "B"],
            'line 2: Classification is "B", not benign or mal',
        ),
        ([None, "case001.png", "case001_tumor.png", None, 41, "4a", "benign"], "line 2 has no CaseID: fill it in"),
        (
            [1, "case001.png", "case001_tumor.png&case9.png", None, 41, "4a", "benign"],
            "line 2 names case9.png, which does",
        ),
    ],
)
def test_rows_of_breast_lesions_usg_that_contradict_themselves_are_refused(brest, row, message):
    path = next(brest.glob("*.xlsx"))
    rows = sheet_of(path)
    index = next(i for i, cells in enumerate(rows) if cells[1] == row[1])
    save_excel([*rows[:index], row, *rows[index + 1 :]], path)
    with pytest.raises(InputError, match=message):
        read("breast_lesions_usg", brest)


def test_every_row_and_file_at_fault_is_named_at_once(bus_bra):
    (bus_bra / "Images/bus_0003-s.png").unlink()
    (bus_bra / "Masks/mask_0004-l.png").write_bytes(b"")
    save(mask_of((0, 0, 9, 9)), bus_bra / "Masks/mask_0099-s.png")
    save(picture(77), bus_bra / "Images/bus_0098-s.jpg")
    text = (bus_bra / "bus_data.csv").read_text()
    (bus_bra / "bus_data.csv").write_text(text.replace("bus_0002-s,2,Fibroadenoma,benign", "bus_0002-s,2,Fibro,begnin"))
    with pytest.raises(InputError) as error:
        read("bus_bra", bus_bra)
    for words in (
        "Images/bus_0098-s.jpg has no row in bus_data.csv",
        "Masks/mask_0099-s.png has no row in bus_data.csv",
        'line 4: Pathology is "begnin", not benign or malignant',
        "line 5 names Images/bus_0003-s.png, which does not exist",
        "mask_0004-l.png cannot be read as an image",
    ):
        assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 5


@pytest.mark.parametrize("reader", READERS)
def test_the_label_is_the_rows_own(tmp_path, reader):
    """Rows in another order and images that are copies of each other change no label."""
    SMALL[reader](tmp_path)
    before = {lesion.lesion_id: lesion.pathology for lesion in read(reader, tmp_path).lesions}
    table = next(path for path in tmp_path.iterdir() if path.suffix == ".xlsx" or path.name == "bus_data.csv")
    if reader == "bus_bra":
        head, *lines = table.read_text().splitlines()
        table.write_text("\n".join([head, *lines[::-1]]))
    else:
        head, *rows = sheet_of(table)
        save_excel([head, *rows[::-1]], table)
    lesions = read(reader, tmp_path).lesions
    assert {lesion.lesion_id: lesion.pathology for lesion in lesions} == before
    assert [lesion.lesion_id for lesion in lesions] == list(before)[::-1]


@pytest.mark.parametrize("reader", READERS)
def test_an_excluded_image_is_not_opened_and_kept_with_its_reason(tmp_path, reader):
    SMALL[reader](tmp_path)
    lesions = read(reader, tmp_path).lesions
    path = tmp_path.joinpath(lesions[1].image)
    path.write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be read as an image"):
        read(reader, tmp_path)
    key = path.relative_to(tmp_path).as_posix()
    save_csv([["image", "reason"], [key, "broken"]], tmp_path / "exclusions.csv")
    again = read(reader, tmp_path, exclusions=str(tmp_path / "exclusions.csv")).lesions
    assert [lesion.excluded for lesion in again] == ["", "exclusion list: broken", *[""] * (len(again) - 2)]
    assert [lesion.pathology for lesion in again] == [lesion.pathology for lesion in lesions]
    assert boxes(again)[1] == (None,) * 4
    save_csv([["image", "reason"], ["nowhere.png", "broken"]], tmp_path / "exclusions.csv")
    with pytest.raises(InputError, match=r'exclusion list of db names "nowhere\.png", .* such as "'):
        read(reader, tmp_path, exclusions=str(tmp_path / "exclusions.csv"))


@pytest.mark.parametrize("reader", READERS)
def test_a_root_that_is_missing_or_empty_is_refused(tmp_path, reader):
    with pytest.raises(InputError, match="nowhere is no folder: mend sources: db: root"):
        read(reader, tmp_path / "nowhere")
    with pytest.raises(InputError, match=f"{tmp_path} holds no .*: point root of db at the folder"):
        read(reader, tmp_path)


def test_an_excel_file_with_its_table_on_another_sheet_is_read(udiat):
    book = openpyxl.load_workbook(udiat / "DatasetB.xlsx")
    book.create_sheet("Notes", 0).append(["What the columns mean"])
    book.active = 0
    book.save(udiat / "DatasetB.xlsx")
    assert len(read("udiat", udiat).lesions) == 4


@pytest.mark.parametrize("reader", READERS)
def test_real_sonograms_in_another_layout_are_the_same_lesions(tmp_path, reader):
    """30 images of real BUSI, laid out as the databases that were not at hand are."""
    chosen = [lesion for lesion in read("busi", real("busi")).lesions if ";" not in lesion.mask]
    chosen = chosen[:15] + chosen[-15:]
    rows = {
        "udiat": [["Image", "Type", "Diagnosis"]],
        "bus_bra": [["ID", "Case", "Pathology", "Side", "BBOX"]],
        "breast_lesions_usg": [["CaseID", "Image_filename", "Mask_tumor_filename", "Classification"]],
    }[reader]
    for n, lesion in enumerate(chosen, start=1):
        image, mask, row = {
            "udiat": (f"original/{n:06d}.png", f"GT/{n:06d}.png", [f"{n:06d}", lesion.pathology.title(), ""]),
            "bus_bra": (
                f"Images/bus_{n:04d}-s.png",
                f"Masks/mask_{n:04d}-s.png",
                [f"bus_{n:04d}-s", n, lesion.pathology, "single",
                 f"[{lesion.x0 + 1},{lesion.y0 + 1},{lesion.x1 - lesion.x0},{lesion.y1 - lesion.y0}]"],
            ),
            "breast_lesions_usg": (
                f"case{n:03d}.png",
                f"case{n:03d}_tumor.png",
                [n, f"case{n:03d}.png", f"case{n:03d}_tumor.png", lesion.pathology],
            ),
        }[reader]  # fmt: skip
        for name, of in ((image, lesion.image), (mask, lesion.mask)):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).symlink_to(of)
        rows.append(row)
    table = {"udiat": "DatasetB.xlsx", "breast_lesions_usg": "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx"}
    if reader == "bus_bra":
        save_csv(rows, tmp_path / "bus_data.csv")
    else:
        save_excel(rows, tmp_path / table[reader])
    lesions = read(reader, tmp_path).lesions
    assert boxes(lesions) == boxes(chosen)
    assert [lesion.pathology for lesion in lesions] == [lesion.pathology for lesion in chosen]
    assert not any(lesion.excluded for lesion in lesions)


@pytest.mark.parametrize(
    ("reader", "count", "normals"),
    [
        ("udiat", {"benign": 109, "malignant": 54}, 0),
        ("bus_bra", {"benign": 1268, "malignant": 607}, 0),
        ("breast_lesions_usg", {"benign": 154, "malignant": 98}, 4),
    ],
)
def test_real_counts(reader, count, normals):
    reading = read(reader, real(reader))
    labels = [lesion.pathology for lesion in reading.lesions]
    assert {label: labels.count(label) for label in count} == count
    assert len(reading.normals) == normals
