"""A training says what went wrong, in one message, and loses nothing; one that goes well is left alone."""

import logging
import multiprocessing
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from gans_for_tests import few_reals, judged, paths, settings
from quality_for_tests import image_set, parameter_file

from mammosynth.errors import InputError
from mammosynth.gans import METHODS, gan_class, training
from mammosynth.gans.noise import NoiseGan
from mammosynth.gans.training import train

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["mammosynth.gans.training"])


def fill_the_disk(folder: Path) -> None:
    """Train with a checkpoint after every step, on a disk that is full after the second one."""
    torch.set_num_threads(1)
    update = NoiseGan.step

    def step(gan, reals):
        if gan.now == 2:
            half = paths(folder)["checkpoint"].stat().st_size // 2
            resource.setrlimit(resource.RLIMIT_FSIZE, (half, half))
        return update(gan, reals)

    NoiseGan.step = step
    try:
        train(few_reals(), settings("cgan", steps=5), 0, **paths(folder), checkpoint_seconds=0)
    except InputError as error:
        (folder / "message").write_text(str(error))


def test_a_full_disk_is_one_message_and_leaves_the_checkpoint_before(tmp_path):
    child = processes.Process(target=fill_the_disk, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == 0
    message = (tmp_path / "message").read_text()
    assert message.startswith(f"{tmp_path / 'checkpoint.pt'} cannot be written (File too large): make room")
    assert torch.load(tmp_path / "checkpoint.pt")["step"] == 2
    assert not list(tmp_path.glob("*.part"))
    assert not (tmp_path / "g.pt").exists()


@pytest.mark.parametrize("output", ["history", "progress"])
def test_a_disk_that_is_full_for_what_is_shown_is_one_message(output, tmp_path):
    place = paths(tmp_path)[output]
    place.with_name(f"{place.name}.part").symlink_to("/dev/full")  # where files are written before they take their name
    with pytest.raises(InputError, match=rf"{place} cannot be written \(No space left on device\): make room"):
        train(few_reals(), settings("cgan"), 0, **paths(tmp_path))


@pytest.mark.parametrize("output", ["generator", "history", "progress", "checkpoint"])
def test_a_place_that_cannot_be_written_is_named(output, tmp_path):
    (tmp_path / "file").touch()
    place = tmp_path / "file/below/g"
    with pytest.raises(InputError, match=r"file/below/g cannot be written .*mend the place"):
        train(few_reals(), settings("cgan", steps=1), 0, **paths(tmp_path) | {output: place})


@pytest.mark.parametrize("where", ["start", "step", "synthesise"])
def test_a_gpu_whose_memory_is_too_small_is_one_message_with_batch_and_width(where, monkeypatch, tmp_path):
    def too_much(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMuch more is said here.")

    monkeypatch.setattr(gan_class("sngan"), where, too_much)
    message = r"memory is too small for sngan of width 4 with batches of 2: lower batch or width.*allocate 2 GiB\.\)$"
    with pytest.raises(InputError, match=message):
        train(few_reals(), settings("sngan"), 0, **paths(tmp_path))


def test_an_error_of_another_kind_is_not_taken_for_one_of_these(monkeypatch, tmp_path):
    def broken(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(gan_class("sngan"), "step", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        train(few_reals(), settings("sngan"), 0, **paths(tmp_path))


@pytest.mark.parametrize("method", METHODS)
def test_a_learning_rate_without_measure_is_noticed_at_once(method, tmp_path):
    chosen = settings(method, steps=100, learning_rate=1e30)
    with pytest.raises(InputError, match=rf"step \d: {method} has diverged, the losses of .*try a lower learning_rate"):
        train(few_reals(), chosen, 0, **paths(tmp_path), **judged(method))


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -1e7])
def test_divergence_is_noticed_within_a_hundred_steps_of_a_long_training(loss, monkeypatch, tmp_path):
    def step(gan, reals):
        return {name: {"d_loss": torch.tensor(loss if gan.now >= 10 else 0.0)} for name, _ in gan.names()}

    monkeypatch.setattr(NoiseGan, "step", step)
    with pytest.raises(InputError, match=r"step 50: cgan has diverged, the losses of all are .*d_loss"):
        train(few_reals(), settings("cgan", steps=450_000), 0, **paths(tmp_path))


def quiet_step(gan, reals) -> dict:
    """In place of a step: nothing is learned, and the losses look well."""
    return {name: {"d_loss": torch.tensor(1.0), "g_loss": torch.tensor(0.5)} for name, _ in gan.names()}


@pytest.mark.parametrize(("collapsed", "steps"), [("benign", 450_000), ("malignant", 450_000), ("benign", 60)])
def test_a_generator_that_ignores_its_latents_is_noticed_within_a_hundred_steps(
    collapsed, steps, monkeypatch, tmp_path
):
    monkeypatch.setattr(NoiseGan, "step", quiet_step)
    make = gan_class("sngan").make_networks

    def deaf(gan):
        make(gan)
        torch.nn.init.zeros_(gan.generators[collapsed].first.weight)

    monkeypatch.setattr(gan_class("sngan"), "make_networks", deaf)
    step = min(steps, 100)
    message = (
        rf"step {step}: sngan has collapsed, all its {collapsed} images are one \(.*d_loss of benign 1;.*diffaugment"
    )
    with pytest.raises(InputError, match=message):
        train(few_reals(), settings("sngan", steps=steps), 0, **paths(tmp_path))


def test_images_that_differ_are_no_collapse(monkeypatch, tmp_path):
    monkeypatch.setattr(NoiseGan, "step", quiet_step)
    train(few_reals(), settings("sngan", steps=100), 0, **paths(tmp_path))


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].feature_network is None])
def test_a_training_that_just_began_is_not_called_collapsed(method, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(training, "CHECK_EVERY", 1)
    train(few_reals(), settings(method, steps=2), 0, **paths(tmp_path))
    assert "nearly the same" not in caplog.text


def test_a_generator_that_starts_with_one_image_is_given_time(tmp_path, caplog):
    """FastGAN's: all that it makes is grey at first, and differs by the first check."""
    arguments = judged("projected_gan")
    arguments["parameters"] |= {"efficientnet_lite0": parameter_file("efficientnet_lite0")}
    train(few_reals(), settings("projected_gan", steps=50), 0, **paths(tmp_path), **arguments)
    assert "nearly the same" not in caplog.text


def test_a_batch_larger_than_a_class_is_trained_and_said(tmp_path, caplog):
    caplog.set_level(logging.INFO, "mammosynth")
    train(image_set(4, 2), settings("cgan", batch=5, steps=1), 0, **paths(tmp_path))
    assert "a batch of 5 holds some ROIs of a class more than once" in caplog.text


@pytest.mark.parametrize("method", METHODS)
def test_32_rois_a_class_are_enough(method, tmp_path, caplog):
    caplog.set_level(logging.INFO, "mammosynth")
    train(image_set(32, 32), settings(method, steps=1), 0, **paths(tmp_path), **judged(method))
    assert (tmp_path / "g.pt").exists()
    assert "more than once" not in caplog.text


def test_another_seed_is_another_generator_and_the_same_is_the_same(tmp_path):
    weights = []
    for run, seed in enumerate((0, 1, 0)):
        folder = tmp_path / str(run)
        folder.mkdir()
        np.random.rand(run)  # noqa: NPY002 (no other generator of random numbers counts)
        torch.rand(run)
        train(few_reals(), settings("cgan", steps=1), seed, **paths(folder))
        weights.append(torch.load(folder / "g.pt")["weights"]["all.first.weight"])
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])


def test_what_was_finished_is_not_trained_again(tmp_path, caplog, monkeypatch):
    train(few_reals(), settings("cgan", steps=1), 0, **paths(tmp_path))
    monkeypatch.setattr(NoiseGan, "step", None)
    caplog.set_level(logging.INFO, "mammosynth")
    train(few_reals(), settings("cgan", steps=1), 0, **paths(tmp_path))
    assert "was finished by an earlier job" in caplog.text
