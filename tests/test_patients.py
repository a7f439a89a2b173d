"""Patients in the spellings of real tables: one is one, two are two, and what may be either is refused by its row."""

import logging

import pytest
from databases_for_tests import SMALL, picture, save, save_csv, settings

from mammosynth.databases import open_source, read_database
from mammosynth.databases.patients import Patients, read_age, read_patient
from mammosynth.errors import InputError

BELL, ZERO_WIDTH, NO_BREAK, SOFT_HYPHEN, MARK = "\x07", "\u200b", "\u00a0", "\u00ad", "\ufeff"


@pytest.mark.parametrize(
    ("text", "patient"),
    [
        ("P_00068", "P_00068"),
        ("007", "007"),
        ("17", "17"),
        ("17.0", "17"),
        ("17,0", "17"),
        ("017.00", "017"),
        ("17.5", "17.5"),
        ("12e05", "12e05"),
        ("6c613a14b80a8591", "6c613a14b80a8591"),
        ("Łucja", "Łucja"),
        ("M\u0075\u0308ller", "M\u00fcller"),
        (f"u{ZERO_WIDTH}\u0308", "\u00fc"),
        (f" A{NO_BREAK}\u2003 B{ZERO_WIDTH}", "A B"),
        (f"{MARK}P{SOFT_HYPHEN}7{BELL}", "P7"),
    ],
)
def test_a_patient_has_one_spelling(text, patient):
    assert read_patient(text, "here") == patient
    assert read_patient(patient, "here") == patient


@pytest.mark.parametrize(
    "text",
    [
        "tbd", "none given", "TRUE", "nan", "NaN", "NA", "n/a", "N.A.", "#N/A", "<NA>", "None", "NULL", "NaT",
        "-", "--", "?", "#VALUE!", "unknown", "Not available", "not_available", "anonymous", ZERO_WIDTH, "ＮＡ",
    ],
)  # fmt: skip
def test_what_names_nobody_is_refused(text):
    with pytest.raises(InputError, match=r"here: patient is .*, which names nobody: fill it in"):
        read_patient(text, "here")


@pytest.mark.parametrize("text", ["Nana", "Nan 2", "0", "none1", "A", "X", "n-a-1"])
def test_names_that_only_resemble_such_words_are_taken(text):
    assert read_patient(text, "here") == text


@pytest.mark.parametrize("text", ["1.23457E+12", "1e+05", "1,2E+11"])
def test_a_number_that_a_spreadsheet_has_rounded_is_refused(text):
    with pytest.raises(InputError, match=r"here: patient is .*, a number that a spreadsheet has rounded"):
        read_patient(text, "here")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P7", "p7"), ("7", "007"), ("P_7", "P_007"), ("P-7", "P_7"), ("P 7", "P7"), ("A–1", "A-1"), ("7", "７"),
        ("Weiß", "WEISS"), ("7", "#7"), ("7", "\u0667"), ("007.0", "7"),
    ],
)  # fmt: skip
def test_ids_that_may_be_one_patient_are_refused_by_both_places(one, other):
    patients = Patients()
    patients.name(one, "line 2")
    with pytest.raises(InputError, match=r'line 5: patient ".*" differs from ".*" of line 2 only in .*: write one'):
        patients.name(other, "line 5")
    patients.name(other, "line 6")  # said once


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P1", "P2"), ("1-12", "11-2"), ("112", "1-12"), ("10", "1"), ("7", "70"), ("1.1", "1.10"),
        ("Müller", "Muller"), ("\u0915\u093f", "\u0915\u0940"), ("AB-C", "ABC"), ("P7", "Q7"), ("6c61", "6c16"),
    ],
)  # fmt: skip
def test_ids_that_are_two_patients_stay_two(one, other):
    patients = Patients()
    assert patients.name(one, "line 2") != patients.name(other, "line 3")


def table(folder, *patients):
    rows = [[f"{n}.png", 5, 5, 40, 40, "benign", patient] for n, patient in enumerate(patients)]
    for image, *_ in rows:
        save(picture(1), folder / image)
    save_csv([["image", "x0", "y0", "x1", "y1", "pathology", "patient"], *rows], folder / "lesions.csv")
    return read_database(open_source("own", settings("table", folder)))


def test_one_patient_in_several_spellings_is_joined_and_recorded(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        reading = table(tmp_path, "17", "17.0", "M\u00fcller", "Mu\u0308ller", "A  B", "A B", "C", "C")
    found = [lesion.patient_id for lesion in reading.lesions]
    assert found == ["17", "17", "M\u00fcller", "M\u00fcller", "A B", "A B", "C", "C"]
    (record,) = caplog.records
    assert "own: 3 patients are spelled in several ways that are certainly one: '17' and '17.0'" in record.getMessage()


def test_one_spelling_throughout_is_no_finding(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        reading = table(tmp_path, "17.0", "18.0", "17.0")
    assert [lesion.patient_id for lesion in reading.lesions] == ["17", "18", "17"]
    assert not caplog.records


def test_one_image_may_spell_its_patient_in_two_ways(tmp_path):
    save(picture(1), tmp_path / "a.png")
    head = ["image", "x0", "y0", "x1", "y1", "pathology", "patient"]
    boxes = [["a.png", n, 5, 40, 40, "benign", patient] for n, patient in enumerate(["17", "17.0"])]
    save_csv([head, *boxes], tmp_path / "lesions.csv")
    reading = read_database(open_source("own", settings("table", tmp_path)))
    assert [lesion.patient_id for lesion in reading.lesions] == ["17", "17"]


@pytest.mark.parametrize(
    ("patients", "said"),
    [
        (["P7", "P8", "p7"], ['line 4: patient "p7" differs from "P7" of ', "line 2 only in capitals"]),
        (["7", "007"], ['line 3: patient "007" differs from "7" of ']),
        (["A", "nan", "NA"], ['line 3: patient is "nan", which names nobody', 'line 4: patient is "NA"']),
    ],
)
def test_a_table_is_refused_by_its_rows(tmp_path, patients, said):
    with pytest.raises(InputError) as error:
        table(tmp_path, *patients)
    for part in said:
        assert part in str(error.value)


def test_patients_of_file_names_are_held_to_the_same(tmp_path):
    """A reader that never asks about its patients."""
    for name in ("benign/p7_1.png", "malignant/P7_2.png"):
        save(picture(1), tmp_path / name)
    source = settings("rois", tmp_path, benign="benign", malignant="malignant", patient="^[^_]+")
    with pytest.raises(InputError, match=r'P7_2.png: patient "P7" differs from "p7" of .*p7_1.png only in capitals'):
        read_database(open_source("own", source))
    (tmp_path / "malignant/P7_2.png").rename(tmp_path / "malignant/nan_2.png")
    with pytest.raises(InputError, match=r'nan_2.png: patient is "nan", which names nobody'):
        read_database(open_source("own", source))


def test_patients_of_file_names_are_joined_and_recorded(tmp_path, caplog):
    for name in ("benign/17.0_1.png", "malignant/17_2.png"):
        save(picture(1), tmp_path / name)
    source = settings("rois", tmp_path, benign="benign", malignant="malignant", patient="^[^_]+")
    with caplog.at_level(logging.WARNING):
        reading = read_database(open_source("own", source))
    assert [lesion.patient_id for lesion in reading.lesions] == ["17", "17"]
    assert "'17.0' and '17'" in caplog.text


def test_the_cases_of_a_published_table_too(tmp_path):
    SMALL["bus_bra"](tmp_path)
    path = tmp_path / "bus_data.csv"
    lines = path.read_text().splitlines()
    column = lines[0].split(",").index("Case")
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:column], "None", *cells[column + 1 :]])
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r'bus_data\.csv, line 2: patient is "None", which names nobody'):
        read_database(open_source("bra", settings("bus_bra", tmp_path)))


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("45", 45), ("45.5", 45.5), ("45,5", 45.5), ("045Y", 45), ("018M", 1.5), ("018m", 1.5), ("42 Y", 42),
        ("0360D", None), ("021D", 21 / 365.25), ("006W", 42 / 365.25), (" 45 ", 45), ("", None), ("0", None),
        ("000Y", None), ("450", None), ("999", None), ("-1", None), ("40-49", None), (">89", None), ("45,5,5", None),
    ],
)  # fmt: skip
def test_ages_as_tables_and_dicom_have_them(text, years):
    assert read_age(text) == (years and pytest.approx(years))
