"""Several databases in one modality: patients stay apart and whole, and official folds are kept or refused."""

import copy
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from databases_for_tests import SMALL, picture, save, save_csv, settings
from workflow_for_tests import snakemake

from mammosynth import study
from mammosynth.classifiers.scores import score
from mammosynth.curation import read_lesions
from mammosynth.errors import InputError
from mammosynth.partition import assign_parts

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def table(root: Path, rows: list[tuple], seed: int) -> dict:
    """A source with the reader table; rows: image, pathology, patient and view, where an image may come again."""
    lines, count = [["image", "x0", "y0", "x1", "y1", "pathology", "patient", "view"]], {}
    for image, pathology, patient, *view in rows:
        number = count[image] = count.get(image, 0) + 1
        if number == 1:
            save(picture(seed + len(count)), root / image)
        lines.append([image, number, 2, 40, 50, pathology, patient, *(view or [""])])
    save_csv(lines, root / "lesions.csv")
    return settings("table", root)


def many(patients: int) -> list[tuple]:
    return [(f"{n}.png", "malignant" if n % 2 else "benign", f"P{n}") for n in range(patients)]


@pytest.fixture
def two(tmp_path):
    """Two databases whose patients have the same ids."""
    return {name: table(tmp_path / name, many(10), seed) for name, seed in (("here", 100), ("there", 200))}


def test_patients_of_two_databases_do_not_collide(two):
    lesions = read_lesions(two)
    assert lesions["patient_id"].nunique() == 10
    assert lesions["group"].nunique() == 20
    assert lesions.groupby("group")["database"].nunique().max() == 1
    assert lesions["lesion_id"].is_unique
    assert all(group.startswith(f"{database}/") for group, database in zip(lesions["group"], lesions["database"]))


def test_a_source_cannot_be_named_so_that_its_patients_look_like_anothers():
    """Groups are named source/patient: were a slash allowed in a source's name, a/b + c would be a + b/c."""
    names = SCHEMA["properties"]["sources"]
    jsonschema.validate({"a_b": {"reader": "busi", "modality": "ultrasound"}}, names)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"a/b": {"reader": "busi", "modality": "ultrasound"}}, names)


def test_an_image_that_lies_in_two_databases_joins_their_patients(tmp_path, two):
    (tmp_path / "there/7.png").write_bytes((tmp_path / "here/3.png").read_bytes())
    lesions = read_lesions(two).set_index("lesion_id")
    assert lesions.loc["here/3.png-1", "group"] == lesions.loc["there/7.png-1", "group"]
    assert lesions["group"].nunique() == 19
    parts = assign_parts(lesions.reset_index(), folds=5, fold=0, seed=0).set_index("lesion_id")["part"]
    assert parts["here/3.png-1"] == parts["there/7.png-1"]


def test_one_database_under_two_names_is_not_split(tmp_path):
    here = table(tmp_path / "here", many(10), 100)
    lesions = read_lesions({"one": here, "two": here})
    assert len(lesions) == 20
    assert lesions["group"].nunique() == 10


def test_the_parts_of_pooled_databases_hold_both_and_split_no_patient(two):
    lesions = read_lesions(two)
    for fold in range(5):
        parts = assign_parts(lesions, folds=5, fold=fold, seed=0)
        assert parts.groupby("patient_id")["part"].nunique().max() == 1
        assert parts.groupby(["part", "database", "pathology"]).ngroups == 12


def test_views_and_classes_of_a_patient_stay_together(tmp_path):
    """A lesion in two views, a patient with a benign and a malignant lesion, and an image that shows both."""
    seen = (("CC", "benign"), ("MLO", "benign"), ("R CC", "malignant"))
    rows = [(f"p{n}_{view}.png", label, f"P{n}", view) for n in range(10) for view, label in seen]
    rows += [(f"q{n}.png", label, f"Q{n}", "CC") for n in range(10) for label in ("benign", "malignant")]
    lesions = read_lesions({"db": table(tmp_path / "db", rows, 300)})
    assert len(lesions) == 50
    assert (lesions["excluded"] == "").all()  # both classes in one image are no conflict
    assert list(lesions["group"]) == [f"db/{row[2]}" for row in rows]
    for fold in range(5):
        parts = assign_parts(lesions, folds=5, fold=fold, seed=0)
        assert parts.groupby("patient_id")["part"].nunique().max() == 1
        assert set(parts.groupby("patient_id")["pathology"].nunique()) == {2}


def test_scores_have_a_row_for_each_database(two):
    lesions = read_lesions(two)
    rng = np.random.default_rng(0)
    parts = assign_parts(lesions, folds=5, fold=0, seed=0)
    predictions = pd.concat(
        parts.assign(
            classifier="resnet18",
            mix=mix,
            seed=0,
            fold=0,
            share=100,
            modality="ultrasound",
            probability=rng.random(len(parts)),
        )
        for mix in ("real", "gan")
    )
    scores = score(predictions, resamples=100, seed=0)
    assert set(scores["database"]) == {"all", "here", "there"}
    n = scores[scores["measure"] == "AUROC"].groupby("database")["n"].first()
    assert n["all"] == n["here"] + n["there"] == (parts["part"] == "test").sum()


@pytest.fixture
def bus_bra(tmp_path):
    """Twenty patients, four in each of five official folds, of two images."""
    SMALL["bus_bra"](tmp_path)  # what follows replaces its tables
    for path in [*tmp_path.glob("*/*.png"), *tmp_path.glob("*.csv")]:
        path.unlink()
    rows, folds = [["ID", "Case", "Pathology", "Side", "BBOX"]], [["ID", "Pathology", "kFold"]]
    for case, side in ((case, side) for case in range(1, 21) for side in "lr"):
        name, label = f"{case:04d}-{side}", "malignant" if case % 2 else "benign"
        save(picture(1000 + 2 * case + (side == "l")), tmp_path / f"Images/bus_{name}.png")
        mask = np.zeros((60, 80), dtype=np.uint8)
        mask[10:50, 20:60] = 255
        save(mask, tmp_path / f"Masks/mask_{name}.png")
        rows.append([f"bus_{name}", case, label, {"l": "left", "r": "right"}[side], "[21,11,40,40]"])
        folds.append([f"bus_{name}", label, 1 + (case - 1) // 4])
    save_csv(rows, tmp_path / "bus_data.csv")
    save_csv(folds, tmp_path / "5-fold-cv.csv")
    return tmp_path


def official(root, **more):
    return read_lesions({"bra": settings("bus_bra", root, official_folds=5, **more)})


def test_official_folds_are_the_partition(bus_bra):
    lesions = official(bus_bra)
    fold_of = {row["lesion_id"]: row["official_fold"] for _, row in lesions.iterrows()}
    assert fold_of["bra/bus_0020-l"] == 4
    for fold in range(5):
        parts = assign_parts(lesions, folds=5, fold=fold, seed=0).set_index("lesion_id")["part"]
        assert {lesion for lesion in parts.index if parts[lesion] == "test"} == {
            lesion for lesion, number in fold_of.items() if number == fold
        }
        assert {fold_of[lesion] for lesion in parts.index[parts == "val"]} == {(fold + 1) % 5}
        pd.testing.assert_series_equal(
            parts, assign_parts(lesions, folds=5, fold=fold, seed=9).set_index("lesion_id")["part"]
        )  # no seed has a say


def test_without_the_setting_folds_are_our_own(bus_bra):
    lesions = read_lesions({"bra": settings("bus_bra", bus_bra)})
    assert lesions["official_fold"].isna().all()
    first, other = (assign_parts(lesions, folds=5, fold=0, seed=seed)["part"] for seed in (0, 1))
    assert (first != other).any()


def test_official_folds_that_split_a_patient_are_refused(bus_bra):
    path = bus_bra / "5-fold-cv.csv"
    path.write_text(path.read_text().replace("bus_0003-r,malignant,1", "bus_0003-r,malignant,2"))
    with pytest.raises(
        InputError, match=r'official folds: "Images/bus_0003-l\.png" \(fold 0\), "Images/bus_0003-r\.png" \(fold 1\)'
    ):
        assign_parts(official(bus_bra), folds=5, fold=0, seed=0)


def test_official_folds_that_split_near_duplicates_are_refused_until_one_is_excluded(bus_bra):
    twin = (bus_bra / "Images/bus_0001-l.png").read_bytes()
    (bus_bra / "Images/bus_0019-l.png").write_bytes(twin)
    lesions = official(bus_bra)
    assert (lesions["excluded"] == "").all()
    with pytest.raises(
        InputError, match=r'"Images/bus_0019-r\.png" \(fold 4\); list the images .*, by these names, in the source'
    ):
        assign_parts(lesions, folds=5, fold=0, seed=0)
    save_csv([["image", "reason"], ["Images/bus_0019-l.png", "as bus_0001-l"]], bus_bra / "exclusions.csv")
    lesions = official(bus_bra, exclusions=str(bus_bra / "exclusions.csv"))
    parts = assign_parts(lesions[lesions["excluded"] == ""], folds=5, fold=0, seed=0)
    assert len(parts) == 39


def test_a_split_group_is_told_once_and_not_by_each_fold(bus_bra, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (bus_bra / "Images/bus_0019-l.png").write_bytes((bus_bra / "Images/bus_0001-l.png").read_bytes())
    source = settings("bus_bra", bus_bra, official_folds=5)
    partitions = [f"results/ultrasound/fold{fold}/partition.csv" for fold in range(5)]
    study = {"sources": {"bra": source}, "databases": ["bra"], "folds": [*range(5)]}
    run = snakemake(folder, *partitions, "--keep-going", study=study)
    assert run.returncode != 0
    said = [log for log in (folder / "logs").rglob("*.log") if "in several official folds" in log.read_text()]
    assert said == [folder / "logs/crop_rois/ultrasound.log"]


def test_a_database_without_official_folds_is_not_pooled_with_them(bus_bra, two):
    lesions = pd.concat([official(bus_bra), read_lesions(two)], ignore_index=True)
    with pytest.raises(InputError, match="here, there has no official folds but is pooled with a database whose"):
        assign_parts(lesions, folds=5, fold=0, seed=0)


def test_another_number_of_folds_is_refused(bus_bra):
    with pytest.raises(InputError, match="the official folds are 0, 1, 2, 3, 4 of 0 to 3: set partition: folds to"):
        assign_parts(official(bus_bra), folds=4, fold=0, seed=0)


def test_the_configuration_refuses_official_folds_that_cannot_be_kept():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["sources"]["bra"] = {"reader": "bus_bra", "modality": "ultrasound", "root": "x", "official_folds": 5}
    config["databases"] = ["bra", "phantom_mammography"]
    jsonschema.validate(config, SCHEMA)
    study.check(config)  # what the other modality does is its own affair
    pooled = {**config, "databases": ["phantom_ultrasound", "bra"]}
    with pytest.raises(
        InputError, match=r"sources\.bra\.official_folds cannot be kept, as phantom_ultrasound is pooled"
    ):
        study.check(pooled)
    ten = copy.deepcopy(config)
    ten["sources"]["bra"]["official_folds"] = 10
    with pytest.raises(
        InputError, match=r"sources\.bra\.official_folds is 10, but partition\.folds is 5: make them equal"
    ):
        study.check(ten)
    for wrong in ({"official_folds": 7}, {"reader": "udiat"}):
        other = copy.deepcopy(config)
        other["sources"]["bra"] |= wrong
        with pytest.raises(InputError, match=r"sources\.bra\.official_folds: "):
            study.check(other)
