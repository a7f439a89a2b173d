"""Splits: their names, and what the place of a file says."""

import pandas as pd
import pytest

from mammosynth.errors import InputError
from mammosynth.splits import Split, by_run, place_of, read_name, read_rows, splits_of, tabulate


@pytest.mark.parametrize(
    ("split", "name"), [(Split(0), "fold0"), (Split(12, 25), "fold12-share25"), (Split(3, 100), "fold3")]
)
def test_a_name_is_read_as_it_is_written(split, name):
    assert split.name == name
    assert read_name(name) == split


@pytest.mark.parametrize("name", ["fold", "fold-1", "fold0-share", "share25", "fold0-share25-more", "val"])
def test_what_is_no_split_is_refused(name):
    with pytest.raises(InputError, match="is no split"):
        read_name(name)


def test_a_study_has_each_fold_with_each_share_whole_ones_first():
    config = {"folds": [2, 0], "shares": [25, 100]}
    assert splits_of(config) == ["fold2", "fold0", "fold2-share25", "fold0-share25"]
    assert splits_of(config, 25) == ["fold2-share25", "fold0-share25"]


def test_the_place_of_a_file_says_what_it_is_of():
    place = {"modality": "ultrasound", "split": "fold1-share50"}
    assert place_of("results/ultrasound/fold1-share50/partition.csv") == place
    for suffix in (".pt", ".csv", "_images.csv"):
        found = place_of(f"/a/study/results/ultrasound/fold1-share50/quality/sngan/seed7{suffix}")
        assert found == place | {"name": "sngan", "seed": "7"}
    for kind, suffix in (("classifiers", "pt"), ("predictions", "csv")):
        found = place_of(f"results/ultrasound/fold1-share50/{kind}/resnet18/real+sngan@0.5/seed1.{suffix}")
        assert found == place | {"classifier": "resnet18", "name": "real+sngan@0.5", "seed": "1"}
    with pytest.raises(InputError, match="does not lie in the folder of a split"):
        place_of("results/tables/scores.csv")


def test_files_are_found_by_name_and_run_in_whatever_order():
    files = [f"results/ultrasound/fold{f}/gans/{g}/seed{s}.csv" for s in (1, 0) for g in ("b", "a") for f in (2, 0)]
    assert by_run(files, "a") == {
        (f"fold{f}", s): f"results/ultrasound/fold{f}/gans/a/seed{s}.csv" for s in (1, 0) for f in (2, 0)
    }


def test_rows_get_the_fold_and_share_of_the_split_that_they_name(tmp_path):
    pd.DataFrame({"split": ["fold1", "fold1-share25"], "value": [1, 2]}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"split": ["fold0"], "value": [3]}).to_csv(tmp_path / "b.csv", index=False)
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    rows = read_rows(files, tabulate(["fold1-share25", "fold0", "fold1"]))
    assert rows[["value", "fold", "share"]].to_numpy().tolist() == [[1, 1, 100], [2, 1, 25], [3, 0, 100]]
    with pytest.raises(InputError, match="fold0, no split of this study"):
        read_rows(files, tabulate(["fold1", "fold1-share25"]))
