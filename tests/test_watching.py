"""What TensorBoard is given is what the history and the pictures hold, and a training without it does not need it."""

import csv
import errno
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from gans_for_tests import few_reals, paths, settings
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mammosynth.errors import InputError
from mammosynth.files import replacing
from mammosynth.gans.training import train
from mammosynth.gans.watching import Board


def seen(folder) -> EventAccumulator:
    """What TensorBoard shows of *folder*."""
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()


def test_every_number_of_the_history_is_written(tmp_path):
    train(few_reals(), settings("sngan", steps=2), 0, **paths(tmp_path), tensorboard=tmp_path / "board")
    board, written = seen(tmp_path / "board"), 0
    with open(paths(tmp_path)["history"], encoding="utf-8") as file:
        for row in csv.DictReader(file):
            step, name = int(row.pop("step")), row.pop("class")
            for key, value in row.items():
                (shown,) = (event.value for event in board.Scalars(f"{key}/{name}") if event.step == step)
                assert shown == pytest.approx(float(value), rel=1e-6)
                written += 1
    assert written == sum(len(board.Scalars(tag)) for tag in board.Tags()["scalars"]) > 0
    assert [event.step for event in board.Images("samples")] == [0, 1, 2]


def test_a_value_that_is_blank_in_the_history_is_none_in_tensorboard(tmp_path):
    board = Board(tmp_path, 0)
    board.row({"step": 1, "class": "all", "d_loss": 0.5, "kd": ""})
    board.row({"step": 2, "class": "all", "d_loss": 0.5, "kd": 7.0})
    assert [(event.step, event.value) for event in seen(tmp_path).Scalars("kd/all")] == [(2, 7.0)]


def test_what_an_earlier_job_wrote_after_its_checkpoint_is_forgotten(tmp_path):
    for done, steps, value in ((0, [1, 2, 3, 4], 1.0), (2, [3], 2.0)):
        board = Board(tmp_path, done)
        for step in steps:
            board.row({"step": step, "class": "all", "d_loss": value})
    events = seen(tmp_path).Scalars("d_loss/all")
    assert [(event.step, event.value) for event in events] == [(1, 1.0), (2, 1.0), (3, 2.0)]


def test_samples_stand_in_two_rows_benign_above(tmp_path):
    images = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
    Board(tmp_path, 0).picture(7, torch.from_numpy(images))
    (event,) = seen(tmp_path).Images("samples")
    shown = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)).convert("L"))
    assert event.step == 7
    np.testing.assert_array_equal(shown, np.block([[images[0], images[1]], [images[2], images[3]]]))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken/board cannot be written"):
        Board(tmp_path / "taken" / "board", 0)


def test_a_history_is_never_seen_half_written(tmp_path):
    history = tmp_path / "seed0.csv"
    history.write_text("whole")

    def fill_the_disk():
        with replacing(history) as place:
            place.write_text("new, but ha")
            assert history.read_text() == "whole"
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match=r"seed0.csv cannot be written \(No space left"):
        fill_the_disk()
    with replacing(history) as place:
        place.write_text("new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_trainings_without_it_do_not_load_tensorboard():
    code = "import sys, mammosynth.gans.training; sys.exit('tensorboard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
