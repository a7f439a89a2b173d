"""What publishers' files and users' disks hold beside the data: legends, notes, leftovers, other capitals, lists."""

import re
import shutil
from pathlib import Path

import openpyxl
import pytest
import yaml
from databases_for_tests import BOXES, LABELS, SMALL, mask_of, picture, save, save_csv, save_excel, settings
from workflow_for_tests import snakemake

from mammosynth.curation import read_lesions
from mammosynth.databases import open_source, read_database
from mammosynth.databases.rows import read_csv, read_excel
from mammosynth.errors import InputError
from mammosynth.partition import refuse_split_groups

ROOT = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((ROOT / "config.yaml").read_text())["sources"]


def read(reader, root, **more):
    return read_database(open_source("db", settings(reader, root, **more)))


def facts(reading, root):
    """What was read, whatever the capitals of the files."""
    lesions = [
        (x.lesion_id, x.patient_id, x.pathology, x.x0, x.y0, x.x1, x.y1, x.excluded, x.image.lower())
        for x in reading.lesions
    ]
    return sorted(lesions), sorted(str(path).lower() for path in [*reading.normals, *reading.passed_over])


# UDIAT's workbook: text ids in A, two empty header cells, a legend in F and G of rows 2 to 8
def write_udiat(root, numbers=(1, 2, 3, 4), titles=(None, None)):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Image", "Type", "Diagnosis", None, None, *titles])
    for seed, (number, label, box) in enumerate(zip(numbers, LABELS, BOXES)):
        save(picture(seed), root / f"original/{number:06d}.png")
        save(mask_of(box), root / f"GT/{number:06d}.png")
        sheet.append([f"{number:06d}", label.capitalize(), "FA"])
    for row, (short, long) in enumerate(
        [("FA", "Fibroadenoma"), ("IDC", "Invasive ductal carcinoma")] * 3 + [("x", "")]
    ):
        sheet.cell(row + 2, 6, short)
        sheet.cell(row + 2, 7, long)
    book.save(root / "DatasetB.xlsx")


@pytest.mark.parametrize("titles", [(None, None), ("Legend", None), ("Type", "Type")])
def test_the_legend_beside_the_table_of_udiat_is_not_read(tmp_path, titles):
    write_udiat(tmp_path, titles=titles)
    lesions = read("udiat", tmp_path).lesions
    assert [lesion.pathology for lesion in lesions] == LABELS
    assert [(x.x0, x.y0, x.x1, x.y1) for x in lesions] == BOXES


def test_udiat_may_lie_a_folder_lower_and_in_other_capitals(tmp_path):
    write_udiat(tmp_path / "BUS")
    before = read("udiat", tmp_path)
    assert len(before.lesions) == 4
    (tmp_path / "BUS/GT").rename(tmp_path / "BUS/gt")
    (tmp_path / "BUS/original").rename(tmp_path / "BUS/Original")
    for path in [*tmp_path.glob("BUS/gt/*.png"), *tmp_path.glob("BUS/Original/*.png")]:
        path.rename(path.with_suffix(".PNG"))
    assert facts(read("udiat", tmp_path), tmp_path) == facts(before, tmp_path)
    assert read("udiat", tmp_path).lesions[0].image == str(tmp_path / "BUS/Original/000001.PNG")
    shutil.copy(tmp_path / "BUS/gt/000001.PNG", tmp_path / "BUS/gt/000001.png")
    with pytest.raises(InputError, match=r"000001\.PNG and .*000001\.png share one name but for its capitals"):
        read("udiat", tmp_path)


@pytest.mark.parametrize("reader", ["breast_lesions_usg", "bus_bra", "mini_mias", "table"])
def test_suffixes_of_other_capitals_are_the_same_files(tmp_path, reader):
    more = SMALL[reader](tmp_path)
    before = facts(read(reader, tmp_path, **more), tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.suffix in (".png", ".pgm", ".tif")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    if reader != "table":  # ids of its lesions are the files' names
        assert facts(read(reader, tmp_path, **more), tmp_path) == before
    else:
        assert len(read(reader, tmp_path, **more).lesions) == len(before[0])


def test_a_file_in_two_capitals_of_a_table_is_one_image(tmp_path):
    save(picture(1), tmp_path / "Scan.png")
    rows = [["scan.png", 1, 1, 30, 30, "benign", "A"], ["Scan.PNG", 1, 1, 20, 20, "benign", "B"]]
    save_csv([["image", "x0", "y0", "x1", "y1", "pathology", "patient"], *rows], tmp_path / "lesions.csv")
    with pytest.raises(InputError, match='line 3 gives patient "B" to an image that line 2 gives to "A"'):
        read("table", tmp_path)


LEFTOVERS = [".DS_Store", "Thumbs.db", "desktop.ini", "._{}", ".hidden.png", "~${}", "Desktop.INI", "ehthumbs.db"]


@pytest.mark.parametrize("reader", sorted(SMALL))
def test_what_operating_systems_leave_is_no_file_of_any_database(tmp_path, reader):
    """Beside every file of a database, and in the folders that macOS and network storage make."""
    more = SMALL[reader](tmp_path)
    before = read(reader, tmp_path, **more)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        for name in LEFTOVERS:
            path.with_name(name.format(path.name)).write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
        for folder in ("__MACOSX", "@eaDir", ".ipynb_checkpoints"):
            copy = tmp_path / folder / path.relative_to(tmp_path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    after = read(reader, tmp_path, **more)
    assert after.lesions == before.lesions
    assert (after.normals, after.passed_over) == (before.normals, before.passed_over)


# tables
HEAD = ["image", "pathology", "patient"]
ROWS = [["a.png", "benign", "P1"], ["b.png", "malignant", "P2"]]
CELLS = [dict(zip(HEAD, row)) for row in ROWS]
GAP = {
    "a legend": [[*HEAD, "", "", "B", "benign"], [*ROWS[0], "", "", "M", "malignant"], [*ROWS[1], "", "", "", ""]],
    "a legend without a title": [[*HEAD, "", "", ""], [*ROWS[0], "", "see", "page 3"], [*ROWS[1], "", "", ""]],
    "a legend longer than the table": [[*HEAD, "", "x"], *([*row, "", "x"] for row in ROWS), ["", "", "", "", "x"]],
    "a legend that repeats a name": [[*HEAD, "", "image", "image"], *([*row, "", "a.png", "c"] for row in ROWS)],
    "empty rows and columns": [[*HEAD, "", ""], *([*row, "", ""] for row in ROWS), [""] * 5, [""] * 5],
    "empty rows above": [[""] * 3, [], HEAD, *ROWS],
    "other capitals": [["Image", "PATHOLOGY", "patient", "Remark"], *([*row, "x"] for row in ROWS)],
    "an index without a name": [["", *HEAD], *([str(n), *row] for n, row in enumerate(ROWS))],
}


@pytest.mark.parametrize("rows", GAP.values(), ids=GAP)
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_table_ends_at_its_first_column_without_a_name(tmp_path, rows, suffix):
    path = tmp_path / f"table{suffix}"
    (save_csv if suffix == ".csv" else save_excel)(rows, path)
    found = (read_csv if suffix == ".csv" else read_excel)(path, HEAD)
    assert [{name: row[name] for name in HEAD} for row in found] == CELLS
    number = rows.index(next(row for row in rows if "b.png" in row[:2])) + 1
    assert found[1].number == number


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            ["image", "pathology", "", "patient"],
            "has column patient beyond column 3, which has no name and so ends the",
        ),
        ([*HEAD, "", "age"], "has column age beyond column 4, which has no name"),
        (["image", "", "x"], "has no column pathology, patient: its first line must name image"),
        ([*HEAD, "image"], 'has two columns "image": keep one'),
        ([*HEAD, "Age", "age"], 'has two columns "age": keep one'),
    ],
)
def test_a_column_that_is_read_does_not_hide_beyond_the_end_of_its_table(tmp_path, suffix, head, message):
    path = tmp_path / f"table{suffix}"
    (save_csv if suffix == ".csv" else save_excel)([head, ["x"] * len(head)], path)
    with pytest.raises(InputError, match=message):
        (read_csv if suffix == ".csv" else read_excel)(path, HEAD, ["age"])


@pytest.mark.parametrize(
    "rows",
    [
        [[*HEAD, "", ""], ["a.png", "benign", " left", "P1", ""]],  # a comma without quotes
        [HEAD, ["a.png", "benign", " left", "P1"]],
        [[*HEAD, "", "legend"], ["a.png", "benign", " left", "P1", "", "x"]],
        [HEAD, ["a.png", "benign"]],
        [HEAD, *ROWS, [], ["* two readers"]],  # a note below the table
    ],
)
def test_cells_of_a_csv_that_may_be_shifted_are_refused_by_their_line(tmp_path, rows):
    save_csv(rows, tmp_path / "table.csv")
    with pytest.raises(InputError, match=rf"table\.csv, line {len(rows)} has \d cells where the first line has"):
        read_csv(tmp_path / "table.csv", HEAD)


def test_a_note_below_an_excel_table_is_refused_by_its_line(tmp_path):
    write_udiat(tmp_path)
    book = openpyxl.load_workbook(tmp_path / "DatasetB.xlsx")
    book.active.cell(12, 1, "Types as of 2012")
    book.save(tmp_path / "DatasetB.xlsx")
    with pytest.raises(InputError, match=r"DatasetB\.xlsx, line 12 has no Type: fill it in, or remove the row"):
        read("udiat", tmp_path)


def test_two_sheets_that_differ_are_refused(tmp_path):
    save_excel([HEAD, *ROWS], tmp_path / "table.xlsx")
    book = openpyxl.load_workbook(tmp_path / "table.xlsx")
    book.copy_worksheet(book.active).title = "old"
    book.save(tmp_path / "table.xlsx")
    assert len(read_excel(tmp_path / "table.xlsx", HEAD)) == 2
    book["old"]["B2"] = "malignant"
    book.save(tmp_path / "table.xlsx")
    with pytest.raises(InputError, match="has the sheets Sheet, old, which have these columns and differ: delete all"):
        read_excel(tmp_path / "table.xlsx", HEAD)


# lists of patients
def write_list(path, *rows):
    save_csv([["image", "patient", "found"], *([*row, "by eye"] for row in rows)], path)
    return str(path)


@pytest.mark.parametrize("reader", sorted(SMALL))
def test_a_list_joins_patients_of_every_reader(tmp_path, reader):
    """One image of each of two patients is listed: both go whole."""
    more = SMALL[reader](tmp_path / "db")
    lesions = read(reader, tmp_path / "db", **more).lesions
    first = lesions[0]
    other = next(x for x in lesions if x.patient_id != first.patient_id)
    path = write_list(tmp_path / "list.csv", (first.image_id, "one woman"), (other.image_id, "one woman"))
    again = read(reader, tmp_path / "db", **more, patients=path).lesions
    joined = {first.patient_id, other.patient_id}
    assert [x.patient_id for x in again] == ["one woman" if x.patient_id in joined else x.patient_id for x in lesions]
    for bad in ("nowhere.png", f"x/{first.image_id}"):
        with pytest.raises(InputError, match=re.escape(f'list of patients of db names "{bad}", which the')):
            read(reader, tmp_path / "db", **more, patients=write_list(tmp_path / "list.csv", (bad, "one woman")))


def test_images_without_patients_get_them_and_groups_follow(tmp_path):
    SMALL["busi"](tmp_path / "db")
    (tmp_path / "db/patients.csv").unlink()
    ids = ["benign/benign (1).png", "malignant/malignant (4).png"]
    path = write_list(tmp_path / "list.csv", *((image, "A") for image in ids))
    lesions = read_lesions({"db": settings("busi", tmp_path / "db", patients=path)})
    assert lesions.loc[lesions["image_id"].isin(ids), "group"].tolist() == ["db/A"] * 2
    assert lesions["group"].nunique() == 3


BUS_BRA = ["Images/bus_0001-l.png", "Images/bus_0001-r.png", "Images/bus_0002-s.png", "Images/bus_0003-s.png"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [(BUS_BRA[0], "A"), (BUS_BRA[0], "A")],
            r'list\.csv names "Images/bus_0001-l\.png" twice \(line 3\): keep one',
        ),
        ([(BUS_BRA[0], "")], r"list\.csv, line 2: patient is \"\", which names nobody"),
        ([("", "A")], r"list\.csv, line 2 has no image: fill it in"),
        (
            [(BUS_BRA[0], "A"), (BUS_BRA[1], "B")],
            r'line 3 gives Images/bus_0001-r\.png to patient "B", and line 2 Images/bus_0001-l\.png to "A": both are '
            r'of patient "1" of the database, so give both to one',
        ),
        (
            [(BUS_BRA[2], "1")],
            r'list\.csv, line 2 names patient "1", and the database has one of that name: if they are the same, list '
            r"Images/bus_0001-l\.png under it, too, else choose another name",
        ),
        ([(BUS_BRA[2], "A"), (BUS_BRA[3], "2")], r'line 3 names patient "2", and the database has one of that name'),
        ([(BUS_BRA[2], "03"), (BUS_BRA[3], "03")], r'line 2: patient "03" differs from "3" of .* only in'),
    ],
)
def test_a_list_that_contradicts_itself_or_the_database_is_refused(tmp_path, rows, message):
    SMALL["bus_bra"](tmp_path / "db")
    with pytest.raises(InputError, match=message):
        read("bus_bra", tmp_path / "db", patients=write_list(tmp_path / "list.csv", *rows))


def test_patients_may_be_named_as_the_database_does_if_one_of_their_images_is_listed(tmp_path):
    SMALL["bus_bra"](tmp_path / "db")
    path = write_list(tmp_path / "list.csv", (BUS_BRA[2], "1"), (BUS_BRA[0], "1"))
    patients = [x.patient_id for x in read("bus_bra", tmp_path / "db", patients=path).lesions]
    assert patients == ["1", "1", "1", "3", "4", "5"]


def test_a_broken_list_is_told_once(tmp_path):
    SMALL["bus_bra"](tmp_path / "db")
    (tmp_path / "list.csv").write_bytes("image,reason,patient\nä,b,c\n".encode("latin-1"))
    path = str(tmp_path / "list.csv")
    with pytest.raises(InputError) as error:
        read("bus_bra", tmp_path / "db", exclusions=path)
    assert len(str(error.value).splitlines()) == 1


# what the issue found on the real images of UDIAT
BY_EYE = [{18, 295, 297, 302}, {296, 301}, {30, 298}, {31, 299}, {41, 305}]
LIKELY = [{44, 307}, {102, 108}]
SAME = [{32, 40}, {33, 42}, {53, 309}, {54, 310}]


def test_the_list_of_udiat_comes_with_the_workflow_and_is_used(tmp_path):
    rows = read_csv(ROOT / "resources/patients/udiat.csv", ("image", "patient", "found"))
    found = {}
    for row in rows:
        found.setdefault((row["patient"], row["found"]), set()).add(int(row["image"][len("original/") : -len(".png")]))
    for words, groups in (("by eye", BY_EYE), ("by eye, likely", LIKELY), ("the same to the pixel", SAME)):
        assert sorted(map(sorted, (g for (_, f), g in found.items() if f == words))) == sorted(map(sorted, groups))
    numbers = sorted(set().union(*BY_EYE, *LIKELY, *SAME))
    rows = [["Image", "Type", "Diagnosis"]]
    for number in [*numbers, 55]:
        save(picture(number), tmp_path / f"original/{number:06d}.png")
        save(mask_of(BOXES[0]), tmp_path / f"GT/{number:06d}.png")
        rows.append([f"{number:06d}", "Benign", "FA"])
    save_excel(rows, tmp_path / "DatasetB.xlsx")
    lesions = read_lesions({"udiat": settings("udiat", tmp_path, patients=str(ROOT / SHIPPED["udiat"]["patients"]))})
    assert lesions["group"].nunique() == len(BY_EYE + LIKELY + SAME) + 1


def test_the_exclusions_of_bus_bra_leave_official_folds_whole(tmp_path):
    """Cases 341 and 356 are one lesion, in different official folds; what joins them are their ROIs."""
    rows, folds = [["ID", "Case", "Pathology", "Side", "BBOX"]], [["ID", "Pathology", "kFold"]]
    for fold, name in enumerate(["0341-l", "0341-r", "0356-l", "0356-r"]):
        save(picture(fold), tmp_path / f"Images/bus_{name}.png")
        save(mask_of(BOXES[0]), tmp_path / f"Masks/mask_{name}.png")
        rows.append([f"bus_{name}", int(name[:4]), "benign", "left", "[9,19,30,30]"])
        folds.append([f"bus_{name}", "benign", 1 + fold // 2])
    save_csv(rows, tmp_path / "bus_data.csv")
    save_csv(folds, tmp_path / "5-fold-cv.csv")
    joined = settings("bus_bra", tmp_path, official_folds=5)
    with pytest.raises(InputError) as error:
        refuse_split_groups(read_lesions({"bus_bra": joined}).assign(group="one"))
    assert '"Images/bus_0341-l.png" (fold 0)' in str(error.value)
    assert '"Images/bus_0356-l.png" (fold 1)' in str(error.value)
    lesions = read_lesions({"bus_bra": joined | {"exclusions": str(ROOT / SHIPPED["bus_bra"]["exclusions"])}})
    refuse_split_groups(lesions.assign(group="one"))
    assert (lesions["excluded"] != "").tolist() == [False, False, True, True]
    # the message names images as the list wants them
    named = read_csv(ROOT / "resources/exclusions/bus_bra.csv", ("image", "reason"))
    assert all(f'"{row["image"]}"' in str(error.value) for row in named)


def test_the_workflow_reads_again_when_a_list_changes(tmp_path):
    SMALL["busi"](tmp_path / "db")
    (tmp_path / "db/patients.csv").unlink()
    write_list(tmp_path / "mine.csv", ("benign/benign (1).png", "A"))
    source = settings("busi", tmp_path / "db", patients="mine.csv")
    study = {"sources": {"here": source}, "databases": ["here"]}
    lesions = "results/ultrasound/lesions.csv"
    assert snakemake(tmp_path, lesions, study=study).returncode == 0
    assert "here/A" in (tmp_path / "results/ultrasound/lesions.csv").read_text()
    assert "Nothing to be done" in snakemake(tmp_path, lesions, "--dry-run", study=study).stdout
    write_list(tmp_path / "mine.csv", ("benign/benign (1).png", "B"))
    assert "rule read_lesions" in snakemake(tmp_path, lesions, "--dry-run", study=study).stdout
    (tmp_path / "mine.csv").unlink()
    run = snakemake(tmp_path, lesions, "--dry-run", study=study)
    assert run.returncode != 0
    assert 'sources.here.patients is "mine.csv", which is no file' in run.stdout
