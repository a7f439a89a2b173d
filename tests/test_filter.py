"""The filter: what it drops and why, and that it stops at a copier."""

import numpy as np
import pandas as pd
import pytest

from mammosynth.errors import InputError
from mammosynth.findings.verdicts import verdicts
from mammosynth.imageset import ImageSet
from mammosynth.quality.filter import filter_images, refuse_memorising
from mammosynth.quality.measures import AS_INTENDED, HELD_OUT, NEAR_COPY
from mammosynth.quality.measures import NIQE_REFITTED as REFITTED

OFF = {"copies": False, "labels": False, "naturalness": None}
NAMES = [f"image {i}" for i in range(8)]


@pytest.fixture
def synthetic() -> ImageSet:
    return ImageSet(np.zeros((8, 4, 4)), np.repeat([0, 1], 4), np.array(NAMES))


@pytest.fixture
def judged() -> pd.DataFrame:
    """In another order than the images, as a file may be."""
    table = pd.DataFrame({"id": NAMES, NEAR_COPY: 0.0, AS_INTENDED: 1.0, REFITTED: 3.0})
    table.loc[1, NEAR_COPY] = 1
    table.loc[[1, 2, 5], AS_INTENDED] = 0
    table.loc[6, REFITTED], table.loc[7, REFITTED] = 99, np.nan
    return table[::-1]


@pytest.fixture
def real() -> pd.DataFrame:
    """As assessed: the training ROIs, and held-out ones, which are less like the model of the former."""
    table = pd.DataFrame({"generator": "real", REFITTED: np.arange(101) / 10})
    return pd.concat([table, pd.DataFrame({"generator": HELD_OUT, NEAR_COPY: 0.0, REFITTED: [50.0] * 40})])


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, range(8)),
        ({"copies": True}, [0, 2, 3, 4, 5, 6, 7]),
        ({"labels": True}, [0, 3, 4, 6, 7]),
        ({"naturalness": 90}, range(6)),
        ({"copies": True, "labels": True, "naturalness": 90}, [0, 3, 4]),
    ],
)
def test_each_limit_drops_what_fails_it(synthetic, judged, real, limits, kept):
    passed, outcomes = filter_images("gan", synthetic, judged, real, OFF | limits)
    assert passed.ids.tolist() == [NAMES[i] for i in kept]
    assert outcomes["id"].tolist() == NAMES
    assert (outcomes["dropped"] == "").tolist() == [i in kept for i in range(8)]


def test_all_reasons_are_told(synthetic, judged, real):
    _, outcomes = filter_images("gan", synthetic, judged, real, {"copies": True, "labels": True, "naturalness": 90})
    assert outcomes["dropped"][1] == "near copy of a training ROI; taken for the other class"
    assert outcomes["dropped"][6].startswith("NIQE refitted above 9, the 90th percentile")


def test_a_class_of_which_nothing_passes(synthetic, judged, real):
    judged[AS_INTENDED] = (judged["id"] < "image 4").astype(float)
    message = r"none of gan's 4 malignant images through: taken for the other class \(4\); .* loosen quality.filter"
    with pytest.raises(InputError, match=message):
        filter_images("gan", synthetic, judged, real, OFF | {"labels": True})


def test_a_copier_ends_the_run(real):
    many = pd.DataFrame({NEAR_COPY: np.arange(200) % 5 == 0})
    with pytest.raises(InputError, match=r"gan gives back ROIs of the training part.*40 of 200"):
        refuse_memorising("gan", many, real, 75)
    refuse_memorising("gan", pd.DataFrame({NEAR_COPY: np.zeros(200)}), real, 1)


@pytest.mark.parametrize("trainings", [1, 15, 75])
def test_the_run_ends_at_what_the_report_marks_and_at_nothing_else(real, trainings):
    for copies in range(25):
        one = pd.DataFrame({NEAR_COPY: np.arange(200) < copies}).astype(float)
        placed = {"modality": "ultrasound", "fold": 0}
        images, held_out = one.assign(**placed, generator="gan", seed=0), real.assign(**placed)
        marked = verdicts(images, held_out, trainings)["ultrasound"]["gan"].memorising
        try:
            refuse_memorising("gan", one, real, trainings)
        except InputError:
            assert marked
        else:
            assert not marked
