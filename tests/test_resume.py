"""A training that is killed goes on, and ends in the weights of one that was not, to the bit."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mammosynth.gans import METHODS
from mammosynth.gans.checkpoint import Checkpoint, fingerprint
from mammosynth.gans.settings import Settings
from mammosynth.gans.training import train
from mammosynth.imageset import ImageSet

ROOT = Path(__file__).parents[1]
STEPS = 5
CHILD = """
import sys
from pathlib import Path
from mammosynth.gans.settings import Settings
from mammosynth.gans.training import train
from mammosynth.imageset import ImageSet
folder = Path(sys.argv[1])
paths = {"generator": "g.pt", "history": "g.csv", "progress": "g.png", "checkpoint": "checkpoint.pt"}
settings = Settings(sys.argv[2], width=4, steps=int(sys.argv[3]), batch=2, learning_rate=2e-4)
files = {key: folder / name for key, name in paths.items()}
train(ImageSet.load(folder / "reals.npz"), settings, 0, **files, checkpoint_seconds=0)
"""


def paths(folder: Path) -> dict[str, Path]:
    names = {"generator": "g.pt", "history": "g.csv", "progress": "g.png", "checkpoint": "checkpoint.pt"}
    return {key: folder / name for key, name in names.items()}


def settings(method: str) -> Settings:
    return Settings(method, width=4, steps=STEPS, batch=2, learning_rate=2e-4)


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, "the training ended before it was killed"
        time.sleep(0.005)


@pytest.fixture
def reals(tmp_path) -> ImageSet:
    rng = np.random.default_rng(0)
    images = ImageSet(rng.integers(0, 256, (9, 128, 128)), np.arange(9) % 3 == 0, [f"roi{i}" for i in range(9)])
    images.save(tmp_path / "reals.npz")
    return images


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_is_the_same_to_the_bit(method, reals, tmp_path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path, method, str(STEPS)], cwd=ROOT)
    wait_for(tmp_path / "checkpoint.pt", child)
    child.send_signal(signal.SIGKILL)
    child.wait()
    at = torch.load(tmp_path / "checkpoint.pt")["step"]
    assert 0 < at < STEPS
    assert not (tmp_path / "g.pt").exists()

    train(reals, settings(method), 0, **paths(tmp_path))
    whole = tmp_path / "whole"
    whole.mkdir()
    train(reals, settings(method), 0, **paths(whole))

    resumed, straight = (torch.load(folder / "g.pt") for folder in (tmp_path, whole))
    assert resumed["weights"].keys() == straight["weights"].keys()
    assert all(torch.equal(resumed["weights"][key], value) for key, value in straight["weights"].items())
    losses = [
        [line.split(",")[4:] for line in (folder / "g.csv").read_text().splitlines()] for folder in (tmp_path, whole)
    ]
    assert losses[0] == losses[1]
    assert (tmp_path / "g.png").read_bytes() == (whole / "g.png").read_bytes()


def test_other_settings_images_or_seed_have_another_fingerprint(reals):
    base = fingerprint(settings("sngan"), 0, reals)
    assert fingerprint(settings("sngan"), 0, reals) == base
    others = [
        fingerprint(replace(settings("sngan"), learning_rate=1e-4), 0, reals),
        fingerprint(settings("sngan"), 0, reals[:-1]),
        fingerprint(settings("sngan"), 1, reals),
    ]
    assert len({base, *others}) == 4


@pytest.mark.parametrize(
    ("ending", "spoil"),
    [
        ("other", lambda path: torch.save({"key": "of another training"}, path)),
        ("damaged", lambda path: path.write_bytes(b"half a file")),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_set_aside_not_overwritten(ending, spoil, tmp_path, caplog):
    path = tmp_path / "checkpoint.pt"
    spoil(path)
    before = path.read_bytes()
    assert Checkpoint(path, "key").load() is None
    assert (tmp_path / f"checkpoint.{ending}.pt").read_bytes() == before
    assert not path.exists()
    assert str(path) in caplog.text


def test_a_second_training_waits_for_the_first_and_then_finds_its_result(reals, tmp_path):
    children = []
    for _ in range(2):
        command = [sys.executable, "-c", CHILD, tmp_path, "sngan", str(STEPS)]
        children.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))
    texts = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], texts
    assert sum("waiting for its end" in text for text in texts) == 1
    assert len((tmp_path / "g.csv").read_text().splitlines()) == 1 + 2 * STEPS
