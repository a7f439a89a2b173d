"""A training that is killed goes on, and ends in the weights of one that was not, to the bit."""

import csv
import errno
import fcntl
import logging
import multiprocessing
import os
import random
import signal
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gans_for_tests import TOY, few_reals, judged, options, paths, same, settings

from mammosynth.checkpoint import Checkpoint, fingerprint
from mammosynth.errors import CutOff, InputError
from mammosynth.gans import METHODS, choice, cyclegan, gan_class
from mammosynth.gans.training import train
from mammosynth.imageset import ImageSet
from mammosynth.networks import NETWORKS

STEPS = 5

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["mammosynth.gans.training"])


def quick_evaluations(setitem=dict.__setitem__, setattr=setattr) -> None:
    """Looks at few images by an extractor without weights, and a pool that is soon full."""
    setitem(NETWORKS, "toy", TOY)
    setattr(choice, "IMAGES", 4)
    setattr(cyclegan, "POOL", 3)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    quick_evaluations(monkeypatch.setitem, monkeypatch.setattr)


def run(folder: Path, method: str) -> None:
    """A training with every option that the method takes, and a checkpoint after every step."""
    files = paths(folder)
    train(few_reals(), options(method, steps=STEPS), 0, **files, **judged(method), checkpoint_seconds=0)


def run_and_die(folder: Path, method: str, step: int, share: float) -> None:
    """The same, killed a *share* of a step's time after step *step* began, wherever that is."""
    torch.set_num_threads(1)
    quick_evaluations()
    kind, began = gan_class(method), [time.monotonic()]
    train_step = kind.step

    def kill(seconds: float) -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    def dying(gan, reals):
        began.append(time.monotonic())
        if gan.now == step:
            threading.Thread(target=kill, args=(share * (began[-1] - began[-2]),), daemon=True).start()
        elif gan.now == STEPS - 1:
            time.sleep(60)  # a machine may be in a hurry just now: not to finish before it is killed
        return train_step(gan, reals)

    kind.step = dying
    run(folder, method)


def history(folder: Path) -> list[dict[str, str]]:
    """The rows without the times that they took."""
    with open(folder / "g.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"], row["images_per_second"]
    return rows


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_is_the_same_to_the_bit(method, tmp_path, caplog):
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    cut.mkdir(), whole.mkdir()
    chance = random.Random(time.time_ns())
    step, share = chance.randrange(1, STEPS - 2), chance.random()
    print(f"killed {share:.2f} steps after the start of step {step}")
    child = processes.Process(target=run_and_die, args=(cut, method, step, share))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    at = torch.load(cut / "checkpoint.pt")["step"]
    assert step <= at < STEPS
    assert not (cut / "g.pt").exists()

    caplog.set_level(logging.INFO, "mammosynth")
    run(cut, method)
    assert f"resumes at step {at} of {STEPS}" in caplog.text
    assert not (cut / "checkpoint.pt").exists()
    run(whole, method)
    resumed, straight = (torch.load(folder / "g.pt") for folder in (cut, whole))
    assert same(resumed["weights"], straight["weights"])
    assert same(resumed["critics"], straight["critics"])
    assert (resumed["steps"], resumed["fingerprint"]) == (straight["steps"], straight["fingerprint"])
    assert history(cut) == history(whole)
    assert (cut / "g.png").read_bytes() == (whole / "g.png").read_bytes()


def test_other_settings_images_or_seed_have_another_fingerprint():
    reals: ImageSet = few_reals()
    base = fingerprint(["mammosynth.gans.sngan"], options("sngan").flat(), 0, reals)
    assert fingerprint(["mammosynth.gans.sngan"], options("sngan").flat(), 0, reals) == base
    others = [
        fingerprint(["mammosynth.gans.sngan"], replace(options("sngan"), learning_rate=1e-4).flat(), 0, reals),
        fingerprint(["mammosynth.gans.sngan"], options("sngan").flat(), 0, reals[:-1]),
        fingerprint(["mammosynth.gans.sngan"], options("sngan").flat(), 1, reals),
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


def test_a_checkpoint_of_no_training_is_set_aside(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save([torch.zeros(3)], path)
    assert Checkpoint(path, "key").load() is None
    assert (tmp_path / "checkpoint.other.pt").exists()


def test_other_code_has_another_fingerprint():
    given = options("sngan").flat(), 0, few_reals()
    codes = {fingerprint([f"mammosynth.gans.{name}"], *given) for name in ("sngan", "cgan", "cyclegan")}
    assert len(codes) == 3


def run_with_log(folder: Path, name: str) -> None:
    torch.set_num_threads(1)
    logging.basicConfig(filename=folder / f"{name}.log")
    train(few_reals(), settings("cgan"), 0, **paths(folder), checkpoint_seconds=0)


def test_a_second_training_waits_for_the_first_and_then_finds_its_result(tmp_path):
    with open(tmp_path / "checkpoint.lock", "w", encoding="utf-8") as held:  # the first is yet to start, and both wait
        fcntl.flock(held, fcntl.LOCK_EX)
        children = [processes.Process(target=run_with_log, args=(tmp_path, name)) for name in ("one", "other")]
        for child in children:
            child.start()
        logs = [tmp_path / f"{name}.log" for name in ("one", "other")]
        while not all(log.exists() and "waiting for its end" in log.read_text() for log in logs):
            assert all(child.is_alive() for child in children)
            time.sleep(0.01)
        assert not (tmp_path / "g.csv").exists()
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len(history(tmp_path)) == 3
    assert [int(log.read_text().count("waiting")) for log in logs] == [1, 1]


@pytest.mark.parametrize("method", ["sngan", "projected_gan"])
def test_a_finished_training_is_given_back_when_its_outputs_were_deleted(method, tmp_path, caplog, monkeypatch):
    """As Snakemake deletes them of a job that it did not see end."""
    run(tmp_path, method)
    outputs = [tmp_path / name for name in ("g.pt", "g.csv", "g.png")]
    before = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    earlier = time.time()
    monkeypatch.setattr(gan_class(method), "step", lambda *_: pytest.fail("it trains again"))
    caplog.set_level(logging.INFO, "mammosynth")
    run(tmp_path, method)
    assert [path.read_bytes() for path in outputs] == before
    assert "was finished by an earlier job" in caplog.text
    assert all(path.stat().st_mtime >= earlier - 1 for path in outputs)  # or Snakemake takes them for stale


def test_results_of_another_training_are_not_given_back(tmp_path):
    train(few_reals(), settings("sngan"), 0, **paths(tmp_path))
    first = torch.load(tmp_path / "g.pt")["fingerprint"]
    train(few_reals(), settings("sngan", steps=2), 0, **paths(tmp_path))
    assert torch.load(tmp_path / "g.pt")["fingerprint"] != first
    (tmp_path / "g.pt").unlink()
    train(few_reals(), settings("sngan"), 0, **paths(tmp_path))
    assert torch.load(tmp_path / "g.pt")["fingerprint"] == first


def test_results_that_were_damaged_are_made_again(tmp_path, caplog):
    train(few_reals(), settings("sngan"), 0, **paths(tmp_path))
    whole = torch.load(tmp_path / "g.pt")
    os.truncate(tmp_path / "g.pt", 100)  # their second name is the same file
    train(few_reals(), settings("sngan"), 0, **paths(tmp_path))
    assert same(torch.load(tmp_path / "g.pt")["weights"], whole["weights"])
    assert "is done again" in caplog.text


def test_results_are_kept_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    train(few_reals(), settings("sngan"), 0, **paths(tmp_path))
    before = (tmp_path / "g.pt").read_bytes()
    (tmp_path / "g.pt").unlink()
    monkeypatch.setattr(gan_class("sngan"), "step", lambda *_: pytest.fail("it trains again"))
    train(few_reals(), settings("sngan"), 0, **paths(tmp_path))
    assert (tmp_path / "g.pt").read_bytes() == before


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_a_file_system_without_locks_ends_no_training(number, tmp_path, monkeypatch, caplog):
    lock = fcntl.flock

    def refuse(file, how):
        if Path(str(file.name)).is_relative_to(tmp_path / "study"):
            raise OSError(number, os.strerror(number))
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "study").mkdir()
    train(few_reals(), settings("sngan"), 0, **paths(tmp_path / "study"))
    assert (tmp_path / "study/g.pt").exists()
    assert "without locks" in caplog.text
    (place,) = tmp_path.glob("mammosynth-*/*.lock")
    assert place.stat().st_mode & 0o077 == place.parent.stat().st_mode & 0o077 == 0


def test_where_nothing_has_locks_a_training_runs_and_says_what_that_means(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    train(few_reals(), settings("sngan"), 0, **paths(tmp_path))
    assert (tmp_path / "g.pt").exists()
    assert "must be ended by hand" in caplog.text


def test_a_lock_that_fails_otherwise_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match="cannot be written"):
        train(few_reals(), settings("sngan"), 0, **paths(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_a_training_saves_its_state_and_goes_on_from_it(number, tmp_path, monkeypatch, caplog):
    """As at a walltime, long before a checkpoint is due."""
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    cut.mkdir(), whole.mkdir()
    kind = gan_class("sngan")
    step = kind.step

    def told(gan, reals):
        if gan.now == 1:
            os.kill(os.getpid(), number)
        return step(gan, reals)

    before = signal.getsignal(number)
    monkeypatch.setattr(kind, "step", told)
    with pytest.raises(CutOff, match=f"{signal.Signals(number).name} after step 2 of 3: the checkpoint is saved"):
        train(few_reals(), settings("sngan"), 0, **paths(cut))
    assert signal.getsignal(number) == before
    assert not (cut / "g.pt").exists()
    monkeypatch.setattr(kind, "step", step)
    caplog.set_level(logging.INFO, "mammosynth")
    train(few_reals(), settings("sngan"), 0, **paths(cut))
    assert "resumes at step 2 of 3" in caplog.text
    train(few_reals(), settings("sngan"), 0, **paths(whole))
    assert same(torch.load(cut / "g.pt")["weights"], torch.load(whole / "g.pt")["weights"])
