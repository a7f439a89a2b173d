"""Classifiers that start from a trained network: a probe of its features, and one that goes on learning."""

import os
import signal
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from classifiers_for_tests import bright_middles

from mammosynth.checkpoint import Checkpoint
from mammosynth.classifiers import METHODS, probe
from mammosynth.classifiers.classifier import Task
from mammosynth.classifiers.efficientnet_lite0 import EfficientNetLite0
from mammosynth.classifiers.mixes import assemble, parse_mix
from mammosynth.classifiers.network import _Run
from mammosynth.classifiers.probe import PENALTIES, Probe
from mammosynth.classifiers.settings import resolve
from mammosynth.classifiers.training import read, train
from mammosynth.errors import CutOff, InputError
from mammosynth.imageset import ImageSet
from mammosynth.networks import features as of_networks
from mammosynth.networks.efficientnet_lite0 import published, untrained

CPU = torch.device("cpu")


def image_set(n=24, seed=0, size=32):
    return bright_middles(n, seed, size)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """EfficientNet-Lite0 before ImageNet, its normalisations set, without which features vanish."""
    torch.manual_seed(0)
    network, path = untrained().train(), tmp_path_factory.mktemp("weights") / "lite0.pth"
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1
        network(torch.randn(8, 3, 64, 64))
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def averages(monkeypatch):
    """Features that take no time: averages of 4×4 px. Returns the sets of images that were looked at."""
    seen = []

    def features(images, network, weights, device):
        seen.append(images)
        return images.reshape(len(images), 8, 4, 8, 4).mean((2, 4)).reshape(len(images), -1).astype(np.float32)

    monkeypatch.setattr(probe, "features", features)
    return seen


def task(training, validation, folder, mix="real", seed=0):
    return Task(parse_mix(mix), [training], validation, seed, Checkpoint(folder / "c.pt", "key"), 300.0)


def fitted(training, validation, folder, **others):
    classifier = Probe({}, CPU, {"efficientnet_lite0": "file"})
    return classifier, classifier.fit(task(training, validation, folder, **others))


def test_a_probe_learns_what_is_plain(averages, tmp_path):
    classifier, _ = fitted(image_set(), image_set(seed=1), tmp_path)
    test = image_set(seed=2)
    probability = classifier.probabilities(test.images)
    assert probability[test.labels == 1].min() > probability[test.labels == 0].max()
    assert classifier.probabilities(test.images[:1])[0] == pytest.approx(probability[0])


def test_a_probe_is_the_same_again_whatever_its_seed(averages, tmp_path):
    states = [fitted(image_set(), image_set(seed=1), tmp_path, seed=seed)[0].state() for seed in (0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in ("mean", "sd", "weights"))
    assert states[0]["offset"] == states[1]["offset"]


def test_the_validation_part_chooses_the_penalty_and_nothing_else(averages, tmp_path):
    """Weights at a penalty, and what images are standardised by, are those of the training images alone."""
    training = image_set()
    shuffled = image_set(seed=1)
    shuffled.labels = np.random.default_rng(0).permutation(shuffled.labels)
    for validation in (image_set(seed=1), shuffled):
        classifier, rows = fitted(training, validation, tmp_path)
        best = max(rows, key=lambda row: (row["val_auroc"], -row["val_loss"]))
        assert classifier.penalty == best["penalty"]
        assert [row["penalty"] for row in rows] == list(PENALTIES)
        of_training = training.images.reshape(24, 8, 4, 8, 4).mean((2, 4)).reshape(24, -1)
        np.testing.assert_allclose(classifier.mean, of_training.mean(0), rtol=1e-5)
    losses = [[row["loss"] for row in fitted(training, part, tmp_path)[1]] for part in (image_set(seed=1), shuffled)]
    assert losses[0] == losses[1]
    assert losses[0] == sorted(losses[0], reverse=True)  # a weaker penalty fits more closely
    assert len(averages) == 8  # of each of four fits the training and the validation images: none other was looked at


def test_a_probe_is_minimal_for_its_penalty_with_classes_of_equal_weight(averages, tmp_path):
    training = image_set()
    classifier, _ = fitted(training, image_set(seed=1), tmp_path)
    x = classifier.standardised(classifier.features(training.images))
    probability = classifier.probabilities(training.images)
    slopes = np.where(training.labels == 1, 1 / 8 / 2, 1 / 16 / 2) * (probability - training.labels)
    slope = classifier.weights * classifier.penalty + x.T @ slopes
    assert np.abs(slope).max() < 1e-2 * np.abs(x.T @ slopes).max()
    assert abs(slopes.sum()) < 1e-5  # the offset is not penalised


def test_each_image_twice_changes_nothing(averages, tmp_path):
    once, _ = fitted(image_set(), image_set(seed=1), tmp_path)
    twice, _ = fitted(ImageSet.concatenate([image_set()] * 2), image_set(seed=1), tmp_path, mix="real@2")
    np.testing.assert_allclose(once.weights, twice.weights, atol=1e-5)


def test_a_phase_begins_where_the_one_before_ended(averages, tmp_path):
    """The penalty is on the distance from there: the strongest one leaves what the first phase found."""
    first, second, validation = image_set(), image_set(seed=2), image_set(seed=1)
    given = Task(parse_mix("sngan..real"), [first, second], validation, 0, Checkpoint(tmp_path / "c.pt", "key"), 300.0)
    classifier = Probe({}, CPU, {"efficientnet_lite0": "file"})
    rows = classifier.fit(given)
    assert [row["phase"] for row in rows] == [1] * len(PENALTIES) + [2] * len(PENALTIES)
    assert [row["step"] for row in rows] == list(range(1, 2 * len(PENALTIES) + 1))
    chosen = max(rows[: len(PENALTIES)], key=lambda row: (row["val_auroc"], -row["val_loss"]))
    strongest = rows[len(PENALTIES)]
    assert strongest["val_auroc"] == pytest.approx(chosen["val_auroc"], abs=0.02)
    assert strongest["val_auroc"] > 0.5 + abs(rows[0]["val_auroc"] - 0.5) / 2
    real_first = replace(given, mix=parse_mix("real..sngan"), training=[second, first])
    other = Probe({}, CPU, {"efficientnet_lite0": "file"})
    other.fit(real_first)
    assert not np.allclose(other.weights, classifier.weights, atol=1e-3)


def test_features_are_kept_a_set_and_looked_up_by_every_mix(monkeypatch, tmp_path):
    computed = []

    def features(images, *_):
        computed.append(len(images))
        return images.reshape(len(images), 8, 4, 8, 4).mean((2, 4)).reshape(len(images), -1).astype(np.float32)

    monkeypatch.setattr(of_networks, "features", features)
    (tmp_path / "file").write_text("weights")
    real, synthetic, validation = image_set(), image_set(20, seed=3), image_set(seed=1)
    states = {}
    for mix, kept in product(("real", "real@2", "real+sngan@0.5", "sngan..real"), (None, tmp_path / "kept")):
        parsed = parse_mix(mix)
        training = assemble(parsed, real, {"sngan": synthetic}, 0)
        drawn_from = [real, synthetic] if parsed.gans else [real]
        checkpoint = Checkpoint(tmp_path / f"{len(states)}.pt", "key")
        monkeypatch.setattr(probe, "features", features)
        classifier = Probe({}, CPU, {"efficientnet_lite0": tmp_path / "file"}, kept)
        before = len(computed)
        classifier.fit(Task(parsed, training, validation, 0, checkpoint, 300.0, drawn_from))
        states[mix, kept is None] = classifier.weights, computed[before:]
    for mix in ("real", "real@2", "real+sngan@0.5", "sngan..real"):
        np.testing.assert_array_equal(states[mix, True][0], states[mix, False][0])
    assert [states[mix, False][1] for mix in ("real", "real@2", "real+sngan@0.5", "sngan..real")] == [
        [24, 24],
        [],
        [20],
        [],
    ]


def test_classical_augmentation_lays_a_copy_beside_each_image(averages, tmp_path):
    classifier, _ = fitted(image_set(), image_set(seed=1), tmp_path, mix="real+classic", seed=3)
    originals, copies, validation = averages
    assert len(validation) == 24
    np.testing.assert_array_equal(originals, image_set().images)
    copies, originals = copies.astype(float), originals.astype(float)
    likeness = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(copies, originals)]
    assert 0.1 < np.mean(likeness) < 0.95
    again, _ = fitted(image_set(), image_set(seed=1), tmp_path, mix="real+classic", seed=3)
    other, _ = fitted(image_set(), image_set(seed=1), tmp_path, mix="real+classic", seed=4)
    np.testing.assert_array_equal(again.weights, classifier.weights)
    assert (other.weights != classifier.weights).any()


@pytest.mark.parametrize("method", ["probe", "efficientnet_lite0"])
def test_a_file_gives_the_same_probabilities_again(method, weights, tmp_path):
    files = {"model": tmp_path / "c.pt", "history": tmp_path / "c.csv", "checkpoint": tmp_path / "checkpoint.pt"}
    settings = resolve("c", {"method": method} | ({"steps": 1, "batch": 2} if METHODS[method].takes else {}))
    parameters = {"efficientnet_lite0": weights}
    train(parse_mix("real"), [image_set(6)], image_set(6, 1), settings, 0, CPU, **files, parameters=parameters)
    images = image_set(6, 2).images
    one, other = (read(files["model"], CPU, parameters).probabilities(images) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert len(np.unique(one)) > 1


@pytest.mark.parametrize("method", ["probe", "efficientnet_lite0"])
def test_a_damaged_parameter_file_is_one_sentence(method, tmp_path):
    (tmp_path / "weights").write_bytes(b"<html>404</html>")
    settings = resolve("c", {"method": method})
    classifier = METHODS[method].load()(settings, CPU, {"efficientnet_lite0": tmp_path / "weights"})
    with pytest.raises(InputError, match="weights is not a file of EfficientNet-Lite0's weights, or not whole"):
        classifier.fit(task(image_set(6), image_set(6, 1), tmp_path))


SETTINGS = {"steps": 4, "batch": 4, "learning_rate": 1e-3, "weight_decay": 0.01, "evaluate_every": 2}


@pytest.fixture
def lite0(weights):
    return EfficientNetLite0(SETTINGS, CPU, {"efficientnet_lite0": weights})


def test_before_its_first_step_it_has_the_published_features(lite0, weights):
    lite0.start()
    images = torch.from_numpy(image_set(4, size=64).images)[:, None]
    with torch.inference_mode():
        expected = published(weights).extract_features((images.expand(-1, 3, -1, -1) - 127.0) / 128)
        features = lite0.network.body.extract_features(lite0.normalise(images / 255).expand(-1, 3, -1, -1))
    assert expected.std() > 0.1
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)


def test_all_its_weights_learn_and_those_of_its_head_ten_times_as_fast(lite0):
    (body, slow), (head, fast) = lite0.rates()
    assert fast == 10 * slow
    weights = [*body, *head]
    assert [id(weight) for weight in weights] == [id(weight) for weight in lite0.network.parameters()]
    assert all(weight.requires_grad for weight in weights)


@pytest.mark.parametrize("step", [1, 2])
def test_cut_off_and_resumed_is_the_same_to_the_bit(step, weights, tmp_path, monkeypatch):
    """Of torch's own random numbers, which are others when it resumes, nothing depends."""

    def fit(folder):
        classifier = EfficientNetLite0(SETTINGS, CPU, {"efficientnet_lite0": weights})
        classifier.fit(task(image_set(), image_set(seed=1), tmp_path / folder, "real+classic"))
        return classifier.network.state_dict()

    whole, update = fit("whole"), _Run._update

    def told(run, rows):
        if run.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        update(run, rows)

    monkeypatch.setattr(_Run, "_update", told)
    with pytest.raises(CutOff):
        fit("cut")
    monkeypatch.setattr(_Run, "_update", update)
    resumed = fit("cut")
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())
    assert resumed["head.weight"].abs().max() > 0


def test_layers_in_float32_inside_of_autocast_are_the_same_function(lite0):
    lite0.start()
    torch.nn.init.normal_(lite0.network.head.weight)
    inputs = lite0.normalise(torch.rand(8, 1, 64, 64))
    with torch.inference_mode():
        expected = lite0.network(inputs)
        with torch.autocast("cpu", torch.bfloat16):
            found = lite0.network(inputs).float()
    assert (found - expected).std() < 0.3 * expected.std()
