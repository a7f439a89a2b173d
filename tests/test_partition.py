"""Partition: patient-disjoint, stratified, the same for the same seed, and refused where it cannot be."""

import numpy as np
import pandas as pd
import pytest
from databases_for_tests import phantom_lesions, real_busi

from mammosynth import partition
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.partition import (
    UNUSED,
    assign_parts,
    count_parts,
    halves,
    reduce_training,
    refuse_unjudgeable,
    split_images,
)
from mammosynth.partition import usable as usable_lesions


def lesions(benign=60, malignant=30, per_group=2, database="d", seed=0):
    pathology = ["benign"] * benign + ["malignant"] * malignant
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "lesion_id": [f"{database}/{i}" for i in range(len(pathology))],
            "group": [f"{database}/{label[0]}{i // per_group}" for i, label in enumerate(pathology)],
            "database": database,
            "modality": "ultrasound",
            "pathology": pathology,
            "official_fold": pd.NA,
        }
    )
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)


def usable(found):
    return found[found["excluded"] == ""]


@pytest.mark.parametrize(
    "table",
    [
        lesions,
        lambda: usable(phantom_lesions("busi")),
        lambda: usable(phantom_lesions("mini_mias")),
        lambda: usable(real_busi()),
    ],
    ids=["made", "ultrasound phantoms", "mammography phantoms", "real BUSI"],
)
def test_no_patient_and_no_near_duplicates_in_two_parts(table):
    table = table()
    tested = []
    for fold in range(5):
        parts = assign_parts(table, folds=5, fold=fold, seed=0)
        assert list(parts["lesion_id"]) == list(table["lesion_id"])
        whole = table.merge(parts[["lesion_id", "part"]], on="lesion_id", validate="one_to_one")
        for column in ("group", "patient_id", "duplicates"):
            if column in whole:
                known = whole[whole[column] != ""]
                assert (known.groupby(column)["part"].nunique() == 1).all()
        assert whole.groupby(["part", "pathology"]).ngroups == 6
        tested += list(parts.loc[parts["part"] == "test", "lesion_id"])
    assert sorted(tested) == sorted(table["lesion_id"])  # each lesion is tested once


def test_folds_rotate():
    table = lesions()
    parts = [assign_parts(table, folds=5, fold=fold, seed=0)["part"] for fold in range(5)]
    for fold in range(5):
        assert ((parts[fold] == "val") == (parts[(fold + 1) % 5] == "test")).all()


def test_every_database_is_spread_over_the_folds():
    pooled = pd.concat([lesions(100, 50, 1, "large"), lesions(10, 10, 1, "small")], ignore_index=True)
    for fold in range(5):
        parts = assign_parts(pooled, folds=5, fold=fold, seed=0)
        count = parts[parts["part"] == "test"].groupby(["database", "pathology"]).size()
        assert count.to_dict() == {
            ("large", "benign"): 20,
            ("large", "malignant"): 10,
            ("small", "benign"): 2,
            ("small", "malignant"): 2,
        }


def test_the_seed_decides():
    table = lesions()
    first, again, other = (assign_parts(table, folds=5, fold=0, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert (first["part"] != other["part"]).any()
    assert set(first) == {"lesion_id", "patient_id", "database", "pathology", "part"}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_share_keeps_that_part_of_the_training_patients_of_each_kind_and_smaller_ones_lie_in_larger(seed):
    table = pd.concat([lesions(benign=60, malignant=30), lesions(benign=25, malignant=30, database="other")])
    whole = assign_parts(table, folds=5, fold=1, seed=0)
    assert reduce_training(whole, 100, seed).equals(whole)
    kept_before: set[str] = set()
    for share in (10, 25, 50, 100):
        parts = reduce_training(whole, share, seed)
        for part in ("val", "test"):
            assert ((parts["part"] == part) == (whole["part"] == part)).all()
        kept = set(parts.loc[parts["part"] == "train", "patient_id"])
        assert not kept & set(parts.loc[parts["part"] == UNUSED, "patient_id"])
        assert kept_before <= kept
        for database in ("d", "other"):
            for pathology in CLASSES:
                of = whole[(whole["part"] == "train") & (whole["database"] == database)]
                patients = of.loc[of["pathology"] == pathology, "patient_id"].nunique()
                found = parts[(parts["part"] == "train") & (parts["database"] == database)]
                found = found.loc[found["pathology"] == pathology, "patient_id"].nunique()
                assert abs(found - patients * share / 100) <= 1.5
        kept_before = kept


def test_unused_patients_are_in_no_part_and_no_count():
    table = lesions()
    parts = reduce_training(assign_parts(table, folds=5, fold=0, seed=0), 50, 0)
    counts = count_parts(parts.assign(modality="ultrasound", split="fold0-share50"))
    assert counts["part"].tolist() == ["train", "val", "test"]
    assert counts[["benign", "malignant"]].to_numpy().sum() == (parts["part"] != UNUSED).sum() < len(table)


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(InputError, match=r"ultrasound has 4 malignant .* groups for 5 folds: lower partition: folds"):
        assign_parts(lesions(malignant=8), folds=5, fold=0, seed=0)


def test_databases_that_are_small_each_are_refused_by_name():
    """Together they have groups enough, but none of them can be spread over all folds."""
    pooled = pd.concat([lesions(4, 4, 1, "one"), lesions(4, 4, 1, "other")], ignore_index=True)
    with pytest.raises(InputError, match=r"one, other .*fewer than 5 lesions of each class"):
        assign_parts(pooled, folds=5, fold=0, seed=0)
    assert len(assign_parts(pooled, folds=4, fold=0, seed=0)) == 16


@pytest.mark.parametrize(("folds", "part"), [([0, 2], "val"), ([1, 2], "test"), ([0, 1], "train")])
def test_a_part_without_a_class_is_refused(monkeypatch, folds, part):
    def spread(table, n, seed):
        """Benign lesions over all folds, malignant ones over *folds* only."""
        order = np.arange(len(table))
        return np.where(table["pathology"] == "malignant", np.array(folds)[order % 2], order % n)

    monkeypatch.setattr(partition, "spread_groups", spread)
    message = f"ultrasound: the {part} part of fold 0 has no malignant lesion: lower partition: folds"
    with pytest.raises(InputError, match=message):
        assign_parts(lesions(), folds=3, fold=0, seed=0)


def test_a_fold_that_is_none_is_refused():
    with pytest.raises(InputError, match="fold 5 is not one of 0 to 4"):
        assign_parts(lesions(), folds=5, fold=5, seed=0)


def test_image_sets_follow_the_table():
    table = lesions()
    parts = assign_parts(table, folds=5, fold=2, seed=0)
    order = np.random.default_rng(3).permutation(len(table))
    images = ImageSet(
        np.arange(len(table), dtype=np.uint8)[order].reshape(-1, 1, 1),
        (table["pathology"] == "malignant").to_numpy()[order],
        table["lesion_id"].to_numpy(dtype=str)[order],
        table["group"].to_numpy(dtype=str)[order],
    )
    split = split_images(images, parts)
    assert {name: len(part) for name, part in split.items()} == parts["part"].value_counts().to_dict()
    for name, part in split.items():
        assert set(part.ids) == set(parts.loc[parts["part"] == name, "lesion_id"])
        assert list(table["lesion_id"].iloc[part.images.ravel()]) == list(part.ids)


def test_parts_are_counted_by_images_and_patients():
    rows = [
        ("train", "benign", "p1"),
        ("train", "malignant", "p1"),
        ("train", "benign", "p2"),
        ("test", "benign", "p3"),
    ]
    table = pd.DataFrame(rows, columns=["part", "pathology", "patient_id"]).assign(
        modality="ultrasound", split="fold0", database="busi"
    )
    counts = count_parts(table).set_index("part")[["benign", "malignant", "patients"]]
    assert counts.loc["train"].tolist() == [2, 1, 2]
    assert counts.loc["test"].tolist() == [1, 0, 1]
    assert counts.index.tolist() == ["train", "test"]


def test_parts_of_pooled_databases_are_counted_by_database_too():
    both = pd.concat([lesions(30, 20, 2, "large"), lesions(10, 10, 1, "a_small_one", 1)], ignore_index=True)
    tables = [
        assign_parts(both, folds=5, fold=0, seed=0).assign(modality="ultrasound", split="fold0"),
        assign_parts(lesions(), folds=5, fold=0, seed=0).assign(modality="mammography", split="fold0"),
    ]
    counts = count_parts(pd.concat(tables))
    assert list(counts["database"]) == ["all"] * 6 + ["a_small_one"] * 3 + ["large"] * 3
    numbers = counts[counts["modality"] == "ultrasound"].set_index(["database", "part"])[
        ["benign", "malignant", "patients"]
    ]
    pd.testing.assert_frame_equal(numbers.loc["all"], numbers.loc["a_small_one"] + numbers.loc["large"])
    assert numbers.loc["all"].sum().tolist() == [40, 30, 45]
    assert "database" not in count_parts(tables[1])


def partition_of(train, val=(3, 3), fold=0):
    """A partition table: of each part so many ROIs of each class, each of another patient but as *train* names them."""
    rows = [("train", pathology, patient) for pathology, patients in train.items() for patient in patients]
    rows += [
        (part, pathology, f"{part} {pathology} {i}")
        for part in ("val", "test")
        for pathology, n in zip(("benign", "malignant"), val)
        for i in range(n)
    ]
    table = pd.DataFrame(rows, columns=["part", "pathology", "patient_id"])
    names = [str(i) for i in range(len(table))]
    return table.assign(lesion_id=names, modality="ultrasound", database="d", split=f"fold{fold}")


ENOUGH = {"benign": list("abcdefgh"), "malignant": list("klmnop")}


@pytest.mark.parametrize(
    ("malignant", "message"),
    [
        (list("kkkkkk"), r"malignant ROIs \(6 of 1 patients\) are too few to halve by patients"),
        (list("klm"), r"malignant ROIs \(3 of 3 patients\) are too few to halve by patients"),
        (list("kkkkkl"), r"malignant ROIs \(6 of 2 patients\) are too few to halve by patients"),
    ],
)
def test_a_training_part_that_cannot_be_halved_is_refused_before_training(malignant, message):
    good, bad = partition_of(ENOUGH, fold=0), partition_of(ENOUGH | {"malignant": malignant}, fold=3)
    refuse_unjudgeable(good, evaluates=True)
    with pytest.raises(InputError, match=rf"^ultrasound, fold3: the training part's {message}"):
        refuse_unjudgeable(pd.concat([good, bad]), evaluates=True)


def test_what_is_refused_before_training_is_what_could_not_be_judged_after():
    """However patients are named and whatever the seed: the assessment's own halves."""
    for malignant in (list("kkll"), list("kkklmm"), ["k"] * 9 + ["l", "m"]):
        table = partition_of(ENOUGH | {"malignant": malignant})
        refuse_unjudgeable(table, evaluates=False)
        train = table[table["part"] == "train"]
        labels = (train["pathology"] == "malignant").to_numpy(int)
        images = ImageSet(np.zeros((len(train), 1, 1)), labels, train["lesion_id"], train["patient_id"])
        for seed in range(20):
            assert halves(images, np.random.default_rng(seed))["malignant"].shape[2] >= 2


def test_too_few_rois_to_tell_copies_by_and_a_validation_part_too_small_to_look_at_are_told_at_once():
    tiny = partition_of({"benign": list("abc"), "malignant": list("klmn")}, fold=1)
    small = partition_of(ENOUGH, val=(3, 1), fold=2)
    with pytest.raises(InputError) as error:
        refuse_unjudgeable(pd.concat([tiny, small]), evaluates=True)
    first, second = str(error.value).splitlines()
    assert first.startswith("ultrasound, fold1: the training part has 7 ROIs, and 8 are needed")
    assert second.startswith("ultrasound, fold2: the validation part has 1 malignant ROIs, too few to choose a step")
    refuse_unjudgeable(small, evaluates=False)


@pytest.mark.parametrize("reason", ["the same lesion with different labels", "ROI of a single grey"])
def test_a_class_that_is_all_excluded_is_told_by_modality_and_reason(reason):
    table = lesions().assign(excluded="")
    table.loc[table["pathology"] == "malignant", "excluded"] = reason
    table.loc[table.index[table["pathology"] == "malignant"][0], "excluded"] = "too small"
    message = rf"^ultrasound: all 30 malignant lesions are excluded \({reason} \(29\), too small \(1\)\): mend these"
    with pytest.raises(InputError, match=message):
        usable_lesions(table)
    kept = usable_lesions(table.assign(excluded=["", "so"] * 45))
    assert (kept["excluded"] == "").all()
    assert len(kept) == 45
