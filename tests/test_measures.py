"""Measures are records: found by the exact name of a row, complete, and their functions those that they name."""

import pytest

from mammosynth.networks import NETWORKS
from mammosynth.quality.measures import BASELINES, MEASURES, OfFloor, OfImages, OfSets, find, measure_of, measures_of


def test_every_name_finds_its_own_measure_and_network_and_no_other_name_does():
    for measure in MEASURES:
        if isinstance(measure, OfSets | OfFloor):
            for key, network in NETWORKS.items():
                assert find(network.measure(measure.name)) == (measure, key)
        else:
            assert find(measure.name) == (measure, None)
    for name in ("MS-SSIM", "FD", "FD (another)", "fid", "near copies of late"):
        unknown, network = find(name)
        assert (unknown.better, unknown.explanation, unknown.arrow, network) == ("", "", "", None)


def test_measures_on_inception_are_called_as_they_are_known():
    assert find("FID") == (measure_of("FD (SqueezeNet 1.1)"), "inception")
    assert find("floor/FID") == (measure_of("floor/FD (SqueezeNet 1.1)"), "inception")
    assert (measure_of("FID").arrow, measure_of("floor/FID").arrow, measure_of("NIQE").arrow) == ("↓", "↑", "")


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_records_are_complete(measure):
    assert measure.explanation
    assert measure.better in ("lower", "higher", "nearest", "")
    assert measure.reference in BASELINES
    assert measure.aspect in ("images", "novelty", "label fidelity")
    assert not measure.function or callable(measure.compute)


def test_names_are_unique_and_ratios_are_of_measures_that_there_are():
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    assert {ratio.of for ratio in measures_of(OfFloor)} <= {measure.name for measure in measures_of(OfSets)}
    assert all(measure.reads for measure in measures_of(OfImages))
