"""Leaks: copies of validation and test ROIs among given images are found and named; independent images give none."""

import numpy as np
import pandas as pd
import pytest
from quality_for_tests import image_set
from scipy.ndimage import gaussian_filter

from mammosynth.findings.conclusions import on_elsewhere
from mammosynth.findings.verdicts import leaks
from mammosynth.imageset import ImageSet
from mammosynth.quality.leaks import LEAK, find_leaks
from mammosynth.quality.measures import NEAR_COPY, REAL

TRAIN = image_set(40, 30, seed=1, per_patient=2)
PARTS = {"val": image_set(12, 8, seed=2, per_patient=2), "test": image_set(14, 8, seed=3, per_patient=2)}
GOOD = image_set(60, 60, seed=4)


def features(images: ImageSet) -> np.ndarray:
    """Features that a network might have: means and deviations of 16 px blocks."""
    blocks = images.images.reshape(len(images), 8, 16, 8, 16).astype(float)
    return np.concatenate([blocks.mean((2, 4)).reshape(-1, 64), blocks.std((2, 4)).reshape(-1, 64)], 1)


def table_of(images: ImageSet, parts=None) -> pd.DataFrame:
    parts = parts or PARTS
    of_parts = {name: features(part) for name, part in parts.items()}
    return find_leaks("theirs", images, features(images), TRAIN, features(TRAIN), parts, of_parts)


def placed(table: pd.DataFrame, fold=0, seed=0, modality="ultrasound") -> pd.DataFrame:
    return table.assign(modality=modality, fold=fold, seed=seed)


def planted(count: int, part: str, change=lambda images: images) -> ImageSet:
    """Good images, the last *count* of which are a part's first ROIs."""
    return ImageSet(
        np.concatenate([GOOD.images[: len(GOOD) - count], change(PARTS[part].images[:count])]), GOOD.labels, GOOD.ids
    )


def changed(images: np.ndarray) -> np.ndarray:
    """Mirrored, shifted, darker, noisy and blurred, as a generator gives back what it learnt by heart."""
    noisy = images[:, :, ::-1] * 0.8 + np.random.default_rng(0).normal(0, 5, images.shape)
    return np.clip(np.roll(gaussian_filter(noisy, (0, 1, 1)), 3, axis=2), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("change", [lambda images: images, changed])
def test_copies_of_rois_that_no_training_may_see_are_named(part, change):
    table = table_of(planted(3, part, change))
    own = table[table["generator"] == "theirs"]
    assert own[LEAK].tolist() == [""] * 117 + PARTS[part].ids[:3].tolist()
    assert set(own["part"][117:]) == {part}
    found = leaks(placed(table))["ultrasound"]["theirs"]
    assert found.found
    name = {"val": "validation", "test": "test"}[part]
    assert f"{own['id'].iloc[-1]} shows {PARTS[part].ids[2]} ({name}, correlation " in found.sentence
    assert " 3 certainly: " in found.sentence


def test_a_copy_of_an_external_roi_is_a_leak_and_one_of_a_training_roi_is_none():
    outside = image_set(9, 9, seed=5, per_patient=1)
    among = ImageSet(np.concatenate([outside.images[:1], TRAIN.images[:59]]), GOOD.labels[:60], GOOD.ids[:60])
    table = table_of(among, PARTS | {"external": outside})
    own = table[table["generator"] == "theirs"]
    assert own[LEAK].tolist() == [outside.ids[0], *[""] * 59]
    assert "(external, correlation 1.00)" in leaks(placed(table))["ultrasound"]["theirs"].sentence
    assert (table_of(among)[LEAK] == "").all()


def test_of_honest_folders_few_are_called_leaky():
    """The share of near copies is tested as one of as many draws as there are; none is certain."""
    calls = []
    for seed in range(10, 22):
        table = table_of(image_set(60, 60, seed=seed))
        assert (table[LEAK] == "").all()
        calls.append(leaks(placed(table), 12)["ultrasound"]["theirs"].found)
    assert sum(calls) == 0


def test_training_rois_say_what_chance_gives_and_are_listed_with_their_nearest():
    table = table_of(GOOD)
    assert table["generator"].tolist() == ["theirs"] * 120 + [REAL] * 70
    real = table[table["generator"] == REAL]
    assert real["id"].tolist() == TRAIN.ids.tolist()
    assert set(table["nearest_by_correlation"]) <= {*PARTS["val"].ids, *PARTS["test"].ids}
    assert table[NEAR_COPY].isin([0, 1]).all()
    assert real[NEAR_COPY].mean() < 0.05


def counted(copies: int, fold=0, seed=0, generator="theirs") -> pd.DataFrame:
    """A table of 200 images, so many of which are near copies and none certain."""
    own = pd.DataFrame({"generator": generator, "id": [f"{generator}/{i}" for i in range(200)]})
    own[NEAR_COPY] = (np.arange(200) < copies).astype(int)
    real = pd.DataFrame({"generator": REAL, "id": [f"r/{i}" for i in range(300)], NEAR_COPY: 0})
    table = pd.concat([own, real]).assign(correlation=0.5, part="val", **{LEAK: np.nan})  # as read from a file
    return placed(table, fold, seed)


def test_many_near_copies_are_a_finding_though_none_is_certain_and_a_few_are_not():
    many = leaks(counted(20))["ultrasound"]["theirs"]
    assert many.found
    assert "10.0 % of its 200 images and 0.0 % of 300 training ROIs" in many.sentence
    assert "certainly:" not in many.sentence
    few = leaks(counted(3))["ultrasound"]["theirs"]
    assert not few.found
    assert few.sentence.startswith("No sign that what made its images saw validation or test ROIs: 1.5 % of its 200 im")
    assert "It cannot be ruled out" in few.sentence


def test_each_fold_and_seed_is_judged_by_itself_and_each_generator_too():
    tables = pd.concat([counted(0), counted(20, seed=1), counted(0, generator="others"), counted(0, seed=1)[:0]])
    found = leaks(tables)["ultrasound"]
    assert (found["theirs"].found, found["others"].found) == (True, False)
    assert "5.0 % of its 400 images of 2 runs and 0.0 % of 300 training ROIs" in found["theirs"].sentence
    assert leaks(counted(9))["ultrasound"]["theirs"].found
    assert not leaks(counted(9), draws=8)["ultrasound"]["theirs"].found, "one of eight draws of the study"


def test_what_is_not_known_is_said_of_given_images_alone_and_what_was_found_beside_it():
    config = {"gans": ["sngan", "theirs"], "generators": {"sngan": {"method": "sngan"}, "theirs": {"method": "images"}}}
    (said,) = on_elsewhere(config, leaks(counted(0)))
    assert said.startswith("The images of theirs were made elsewhere, and nothing is known of how: it cannot be ruled")
    assert "the chance of the training that made them is in no interval" in said
    _, found = on_elsewhere(config, leaks(counted(20)))
    assert found.startswith("In ultrasound, theirs: Validation or test ROIs are among its images: 10.0 %")
    assert on_elsewhere(config | {"gans": ["sngan"]}, {}) == []
