"""Which step of a training is kept."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from gans_for_tests import TOY, few_reals, judged, paths, same, settings, started
from quality_for_tests import image_set

from mammosynth.arrays.distances import kernel_distance
from mammosynth.errors import InputError
from mammosynth.gans import choice, gan_class
from mammosynth.gans.choice import LATENTS, Best, Judge
from mammosynth.gans.training import load_generator, train
from mammosynth.imageset import CLASSES
from mammosynth.networks import NETWORKS, features

SCHEMA = yaml.safe_load((Path(__file__).parents[1] / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    monkeypatch.setitem(NETWORKS, "toy", TOY)
    monkeypatch.setattr(choice, "IMAGES", 6)


def copied(networks: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in networks.state_dict().items()}


def of(name: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if key.startswith(name)}


class Planted:
    """A judge that has made up its mind, and keeps what it was shown."""

    def __init__(self, **distances: list[float]) -> None:
        self.distances_of, self.shown = distances, []

    def distances(self, gan, reals):
        found = {name: values[len(self.shown)] for name, values in self.distances_of.items()}
        self.shown.append((copied(gan.average), copied(gan.critics)))
        return found


def drift(gan, reals):
    """In place of a step, where it does not matter how networks change."""
    with torch.no_grad():
        for weight in (*gan.generators.parameters(), *gan.critics.parameters()):
            weight.add_(0.01 * torch.randn_like(weight))
    return {name: {"d_loss": torch.tensor(1.0)} for name, _ in gan.names()}


def plant(monkeypatch, **distances: list[float]) -> Planted:
    monkeypatch.setattr("mammosynth.gans.noise.NoiseGan.step", drift)
    planted = Planted(**distances)
    monkeypatch.setattr("mammosynth.gans.training.Judge", lambda *_: planted)
    return planted


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "g.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_class_with_networks_of_its_own_keeps_its_own_nearest_step(monkeypatch, tmp_path):
    planted = plant(monkeypatch, benign=[0.3, 0.1, 0.2, 0.2], malignant=[0.5, 0.4, -0.1, 0.0])
    chosen = settings("sngan", steps=7, evaluate_every=2)
    train(few_reals(), chosen, 0, **paths(tmp_path), **judged("sngan"))
    content = torch.load(tmp_path / "g.pt")
    assert content["steps"] == {"benign": 4, "malignant": 6}
    for part in (0, 1):
        saved = content[("weights", "critics")[part]]
        assert same(of("benign", saved), of("benign", planted.shown[1][part]))
        assert same(of("malignant", saved), of("malignant", planted.shown[2][part]))
        assert not same(of("benign", saved), of("benign", planted.shown[2][part]))
    assert same(copied(load_generator(tmp_path / "g.pt").average), content["weights"])
    evaluations = [(row["step"], row["class"][0], row["kd"]) for row in rows(tmp_path) if row["kd"]]
    assert evaluations[:4] == [("2", "b", "0.3"), ("2", "m", "0.5"), ("4", "b", "0.1"), ("4", "m", "0.4")]
    assert evaluations[-1] == ("7", "m", "0.0")  # the last step is evaluated too


def test_networks_that_learn_together_are_kept_together(monkeypatch, tmp_path):
    planted = plant(monkeypatch, all=[0.3, 0.1, 0.2])
    train(few_reals(), settings("cyclegan", evaluate_every=1), 0, **paths(tmp_path), **judged("cyclegan"))
    content = torch.load(tmp_path / "g.pt")
    assert content["steps"] == {"all": 2}
    assert same(content["weights"], planted.shown[1][0])
    assert same(content["critics"], planted.shown[1][1])
    assert not same(content["weights"], planted.shown[2][0])


def test_without_evaluations_the_last_step_is_kept(tmp_path):
    train(few_reals(), settings("cgan"), 0, **paths(tmp_path))
    assert torch.load(tmp_path / "g.pt")["steps"] == {"all": 3}
    assert "kd" not in rows(tmp_path)[0]


def test_training_stops_when_patience_is_out(monkeypatch, tmp_path):
    """Steps 3 and 5 are nearer than all before in one class or the other: two evaluations without end it at step 7."""
    benign, malignant = [3, 4, 2, 5, 5, 5, 5, 0], [3, 4, 5, 5, 1, 5, 5, 0]
    plant(monkeypatch, benign=benign, malignant=malignant)
    chosen = settings("sngan", steps=8, evaluate_every=1, patience=2)
    train(few_reals(), chosen, 0, **paths(tmp_path), **judged("sngan"))
    assert rows(tmp_path)[-1]["step"] == "7"
    assert torch.load(tmp_path / "g.pt")["steps"] == {"benign": 3, "malignant": 5}


def test_of_equal_steps_the_first_is_kept():
    gan, best = started(settings("cgan")), Best()
    for step, distance in ((1, 0.2), (2, 0.2), (3, 0.3)):
        best.note(gan, {"all": distance}, step)
    assert (best.found["all"]["step"], best.evaluations_since) == (1, 2)


def test_what_is_kept_does_not_change_when_training_goes_on():
    gan, best = started(settings("cgan")), Best()
    best.note(gan, {"all": 1.0}, 1)
    before = copied(gan.average)
    with torch.no_grad():
        for weight in gan.average.parameters():
            weight.add_(1)
    assert same(best.found["all"]["weights"], before)


def outside(gan, reals, validation) -> dict[str, float]:
    """The distances of the classes, by the functions that judge them at last."""

    def means(images):
        return images.reshape(-1, 8, 16, 8, 16).mean((2, 4)).reshape(-1, 64) / 255

    made = gan.synthesise(6, reals, LATENTS)
    real, synthetic = means(validation.images), means(made.images)
    return {
        name: kernel_distance(real[validation.labels == label], synthetic[made.labels == label])
        for label, name in enumerate(CLASSES)
    }


@pytest.mark.parametrize("method", ["sngan", "cyclegan"])
def test_the_distance_in_the_history_is_that_of_the_kept_generator(method, tmp_path):
    reals, arguments = few_reals(), judged(method)
    train(reals, settings(method, steps=2, evaluate_every=1), 0, **paths(tmp_path), **arguments)
    of_class = outside(load_generator(tmp_path / "g.pt"), reals, arguments["validation"])
    steps = torch.load(tmp_path / "g.pt")["steps"]
    kept = {row["class"]: float(row["kd"]) for row in rows(tmp_path) if int(row["step"]) == steps[row["class"]]}
    expected = of_class if method == "sngan" else {"all": sum(of_class.values()) / 2}
    assert kept == pytest.approx(expected, rel=1e-3)


def test_classes_of_one_network_count_equally_however_many_rois_they_have():
    gan, reals, validation = started(settings("cgan")), few_reals(), image_set(8, 2, seed=1)
    found = Judge(validation, "toy", Path("of no use"), gan.device).distances(gan, reals)
    made = gan.synthesise(8, reals, LATENTS)  # as many as the larger class has
    synthetic = features.features(made.images, "toy", Path("of no use"))
    real = features.features(validation.images, "toy", Path("of no use"))
    each = [kernel_distance(real[validation.labels == label], synthetic[made.labels == label]) for label in (0, 1)]
    assert found == {"all": pytest.approx(sum(each) / 2)}


@pytest.mark.parametrize("method", ["sngan", "cgan", "cyclegan"])
def test_no_image_that_a_step_is_chosen_by_is_synthesised_later(method, tmp_path, monkeypatch):
    seen, synthesise = [], gan_class(method).synthesise

    def spy(self, per_class, reals, seed):
        seen.append(synthesise(self, per_class, reals, seed))
        return seen[-1]

    monkeypatch.setattr(gan_class(method), "synthesise", spy)
    reals, most = few_reals(), SCHEMA["$defs"]["seed"]["maximum"]
    # The whole 32 bits that torch's generator takes of a seed are another's than any of a study.
    assert most < LATENTS < 2**32
    train(reals, settings(method, steps=1, evaluate_every=1), 0, **paths(tmp_path), **judged(method))
    gan, evaluations = load_generator(tmp_path / "g.pt"), list(seen)
    for seed in (0, 1, most):
        made = synthesise(gan, 6, reals, seed)
        for shown in evaluations[-2:]:  # of the weights that are kept
            for label in range(len(CLASSES)):
                firsts = (found.images[found.labels == label][0] for found in (made, shown))
                if method != "cyclegan":  # which has no latents: all its images are of the same few sources
                    assert not np.array_equal(*firsts)
    assert same_images(synthesise(gan, 6, reals, LATENTS), synthesise(gan, 6, reals, LATENTS))


def same_images(one, other) -> bool:
    return np.array_equal(one.images, other.images)


@pytest.mark.parametrize("method", ["cgan", "cyclegan"])
def test_evaluations_leave_the_training_as_it_is(method, tmp_path):
    """Same losses to the last digit, although the extractor draws random numbers while it is made."""
    losses = []
    features._loaded.cache_clear()
    for every in (0, 2):
        folder = tmp_path / str(every)
        folder.mkdir()
        train(few_reals(), settings(method, evaluate_every=every), 0, **paths(folder), **judged(method))
        losses.append([(row["step"], row["d_loss"], row["g_loss"], row["g_gradient"]) for row in rows(folder)])
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3


def test_too_few_validation_rois_are_refused(tmp_path):
    arguments = judged("sngan") | {"validation": image_set(3, 1)}
    with pytest.raises(InputError, match=r"fewer than two malignant ROIs.*set evaluate_every to 0"):
        train(few_reals(), settings("sngan", evaluate_every=1), 0, **paths(tmp_path), **arguments)
