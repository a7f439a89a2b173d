"""What is kept by content is computed once; whatever decides it, changed, computes it again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from quality_for_tests import image_set

from mammosynth import code
from mammosynth.kept import kept
from mammosynth.networks import NETWORKS, Network
from mammosynth.quality import measures
from mammosynth.quality.describe import Describer
from mammosynth.quality.measures import MEASURES, OfImages

FUNCTION = "mammosynth.arrays.likeness:structure_of"
calls: list[str] = []


@dataclass
class Pair:
    one: np.ndarray
    other: float


@pytest.fixture(autouse=True)
def uncalled():
    calls.clear()


def ask(folder, inputs, function=FUNCTION):
    def compute():
        calls.append(function)
        return {"values": np.arange(3.0), "number": 7}

    found = kept(folder, function, inputs, compute)
    assert found["values"].tolist() == [0, 1, 2]
    assert found["number"] == 7


def given(folder):
    (folder / "file").write_text("weights")
    return np.arange(6).reshape(2, 3), "name", Pair(np.ones(2), 0.5), folder / "file"


def test_the_same_is_computed_once(tmp_path):
    for _ in range(2):
        ask(tmp_path / "kept", given(tmp_path))
    assert len(calls) == 1
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize(
    "other",
    [
        (np.arange(6).reshape(3, 2), "name", Pair(np.ones(2), 0.5)),
        (np.arange(6.0).reshape(2, 3), "name", Pair(np.ones(2), 0.5)),
        (np.arange(6).reshape(2, 3), "another", Pair(np.ones(2), 0.5)),
        (np.arange(6).reshape(2, 3), "name", Pair(np.ones(2), 0.6)),
    ],
)
def test_other_inputs_are_computed_anew(other, tmp_path):
    ask(tmp_path, given(tmp_path))
    ask(tmp_path, (*other, tmp_path / "file"))
    assert len(calls) == 2


def test_so_are_other_files_functions_and_code(tmp_path, monkeypatch):
    inputs = given(tmp_path)
    ask(tmp_path, inputs)
    ask(tmp_path, inputs, FUNCTION.replace("structure_of", "correlate"))
    (tmp_path / "file").write_text("others")
    ask(tmp_path, inputs)
    monkeypatch.setattr(code, "digest", lambda *files: "of a later version")
    ask(tmp_path, inputs)
    assert len(calls) == 4


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_damaged_file_is_computed_again(share, tmp_path):
    ask(tmp_path / "kept", given(tmp_path))
    (path,) = (tmp_path / "kept").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    ask(tmp_path / "kept", given(tmp_path))
    assert len(calls) == 2
    assert path.read_bytes() == content


def load(weights: Path, device: torch.device):
    """Means of 16 px blocks; which network looks at how many images is written down."""

    def network(images):
        calls.extend([weights.name] * len(images))
        return images[:, 0].float().unfold(1, 16, 16).unfold(2, 16, 16).mean((3, 4)).flatten(1)

    return network


def spread(images):
    calls.extend(["spread"] * len(images))
    return images.std((1, 2))


def count() -> dict[str, int]:
    found = {name: calls.count(name) for name in set(calls)}
    calls.clear()
    return found


def test_a_network_a_measure_and_a_classifier_more_compute_what_is_new_alone(tmp_path, monkeypatch):
    for name in ("one", "two"):
        monkeypatch.setitem(NETWORKS, name, Network(name, 64, {}, __name__))
        (tmp_path / name).write_text(name)
    others = [measure for measure in MEASURES if "naturalness" not in measure.function]
    monkeypatch.setattr(measures, "MEASURES", others)
    train, held_out, synthetic = image_set(8, 8, 1, 2), image_set(8, 8, 2, 2), image_set(10, 10, 3)

    def describe(networks, classify):
        describer = Describer(networks, {name: tmp_path / name for name in networks}, classify, tmp_path / "kept")
        real, reference = describer.real(train, held_out)
        return real, *describer.synthetic("gan", synthetic, train, reference)

    def bright(images):
        return images.mean((1, 2)) / 255

    def contrast(images):
        return images.std((1, 2)) / 255

    first = describe(["one"], bright)
    assert count() == {"one": 16 + 16 + 20}
    again = describe(["one"], bright)
    assert count() == {}
    assert all(table.equals(other) for table, other in zip(first[:2], again))
    _, table, features = describe(["one"], contrast)
    assert count() == {}, "another classifier"
    assert table["probability"].to_numpy() == pytest.approx(contrast(synthetic.images))
    assert (features["one"] == first[2]["one"]).all()
    _, _, features = describe(["one", "two"], bright)
    assert count() == {"two": 16 + 20}, "held-out ROIs are seen by the first alone"
    assert list(features) == ["one", "two"]
    monkeypatch.setattr(measures, "MEASURES", [*others, OfImages("spread", f"{__name__}:spread")])
    _, table, _ = describe(["one", "two"], bright)
    assert count() == {"spread": 16 + 16 + 20}
    assert table["spread"].to_numpy() == pytest.approx(synthetic.images.std((1, 2)))
