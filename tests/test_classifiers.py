"""Training and predicting, on sets small enough for seconds."""

import csv
import io
import itertools
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from classifiers_for_tests import bright_middles

from mammosynth.classifiers.mixes import parse_mix
from mammosynth.classifiers.network import _Run, augment, balanced_batches
from mammosynth.classifiers.prediction import predict
from mammosynth.classifiers.resnet18 import ResNet18
from mammosynth.classifiers.resnet50 import ResNet50
from mammosynth.classifiers.settings import resolve
from mammosynth.classifiers.training import read, train
from mammosynth.errors import CutOff, InputError
from mammosynth.imageset import ImageSet

CPU = torch.device("cpu")
SETTINGS = resolve("mine", {"method": "resnet18", "steps": 8, "batch": 8, "learning_rate": 1e-3, "evaluate_every": 4})


def image_set(n=18, seed=0, size=32):
    return bright_middles(n, seed, size)


def trained_in(folder, mix, training, validation, settings=SETTINGS, seed=0):
    """The classifier's file and the rows of its history that a training leaves in a folder.

    training: the images of each phase, or of the only one.
    """
    training = [training] if isinstance(training, ImageSet) else training
    files = {"model": folder / "c.pt", "history": folder / "c.csv", "checkpoint": folder / "checkpoint.pt"}
    train(mix, training, validation, settings, seed, CPU, **files, checkpoint_seconds=0)
    with open(files["history"], newline="", encoding="utf-8") as file:
        return torch.load(files["model"], weights_only=True), list(csv.DictReader(file))


def started(weights, network=ResNet18, parameters=None):
    """The network of a ResNet that starts from a file of weights."""
    classifier = network({"weights": weights and str(weights), "width": 64}, CPU, parameters or {})
    classifier.start()
    return classifier.network


def weights_of(saved):
    return saved["state"]["network"]


def scale_of(saved):
    """Mean and standard deviation that grey values are normalised by."""
    return saved["state"]["mean"], saved["state"]["sd"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    return *trained_in(folder, parse_mix("real", []), image_set(), image_set(seed=1)), folder / "c.pt"


def test_it_learns_what_is_plain(trained):
    test = image_set(seed=2)
    probability = read(trained[2], CPU).probabilities(test.images)
    assert probability[test.labels == 1].min() > probability[test.labels == 0].max()


def test_the_history_has_a_row_an_evaluation_and_the_best_step_is_kept(trained):
    saved, history, _ = trained
    assert [(row["step"], row["phase"]) for row in history] == [("4", "1"), ("8", "1")]
    best = max(history, key=lambda row: (float(row["val_auroc"]), -float(row["val_loss"])))
    assert saved["state"]["step"] == int(best["step"])


def test_training_repeats_bit_for_bit_with_its_seed(trained, tmp_path):
    (tmp_path / "again").mkdir(), (tmp_path / "other").mkdir()
    again, _ = trained_in(tmp_path / "again", parse_mix("real", []), image_set(), image_set(seed=1))
    other, _ = trained_in(tmp_path / "other", parse_mix("real", []), image_set(), image_set(seed=1), seed=1)
    assert all(torch.equal(value, weights_of(again)[name]) for name, value in weights_of(trained[0]).items())
    assert again["fingerprint"] == trained[0]["fingerprint"] != other["fingerprint"]
    assert not torch.equal(weights_of(other)["fc.weight"], weights_of(again)["fc.weight"])


def test_normalisation_is_fitted_on_the_training_images(trained):
    values = image_set().images / 255
    assert scale_of(trained[0]) == pytest.approx((values.mean(), values.std()))


def test_a_probability_does_not_depend_on_its_fellows(trained):
    classifier = read(trained[2], CPU)
    test = image_set(seed=2).images
    together, alone = classifier.probabilities(test), classifier.probabilities(test[:1])
    assert alone[0] == pytest.approx(together[0], abs=1e-6)


def test_a_set_smaller_than_a_batch_and_a_classic_mix_train(tmp_path):
    settings = SETTINGS | {"steps": 2, "batch": 9, "evaluate_every": 5}
    saved, history = trained_in(tmp_path, parse_mix("real+classic", []), image_set(4), image_set(4, 1), settings)
    assert [row["step"] for row in history] == ["2"]
    assert saved["mix"] == "real+classic"


@pytest.mark.parametrize(
    ("mix", "step"),
    [*itertools.product(["real", "real+classic"], [2, 5]), *itertools.product(["gan..real+classic"], [2, 3, 5])],
)
def test_cut_off_and_resumed_is_the_same_to_the_bit(mix, step, tmp_path, monkeypatch):
    (tmp_path / "cut").mkdir(), (tmp_path / "whole").mkdir()
    mix, update = parse_mix(mix), _Run._update
    sets = [image_set(seed=seed) for seed in (3, 0)][-len(mix.phases) :], image_set(seed=1)

    def told(run, rows):
        if run.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        update(run, rows)

    monkeypatch.setattr(_Run, "_update", told)
    with pytest.raises(CutOff, match=f"SIGTERM after step {step + 1} of 8: the checkpoint is saved"):
        trained_in(tmp_path / "cut", mix, *sets)
    assert not (tmp_path / "cut/c.pt").exists()
    monkeypatch.setattr(_Run, "_update", update)
    resumed, rows = trained_in(tmp_path / "cut", mix, *sets)
    straight, others = trained_in(tmp_path / "whole", mix, *sets)
    assert all(torch.equal(value, weights_of(resumed)[name]) for name, value in weights_of(straight).items())
    assert [{**row, "seconds": ""} for row in rows] == [{**row, "seconds": ""} for row in others]
    assert not (tmp_path / "cut/checkpoint.pt").exists()


def test_a_finished_classifier_is_given_back_when_its_outputs_were_deleted(tmp_path, monkeypatch):
    sets = parse_mix("real", []), image_set(), image_set(seed=1)
    trained_in(tmp_path, *sets)
    before = (tmp_path / "c.pt").read_bytes(), (tmp_path / "c.csv").read_bytes()
    (tmp_path / "c.pt").unlink()
    monkeypatch.setattr(_Run, "_update", lambda *_: pytest.fail("it trains again"))
    trained_in(tmp_path, *sets)
    assert ((tmp_path / "c.pt").read_bytes(), (tmp_path / "c.csv").read_bytes()) == before


def seen_in(folder, mix, training, monkeypatch, **settings):
    """Of each step of a training: its phase, whether images were augmented, the learning rate, how many images."""
    seen, augmented, update = [], [], _Run._update

    def keep(images, generator):
        augmented.append(True)
        return images

    def see(run, rows):
        augmented.clear()
        update(run, rows)
        seen.append((run.phase, bool(augmented), run.optimisers[0].rate, len(rows)))

    monkeypatch.setattr("mammosynth.classifiers.network.augment", keep)
    monkeypatch.setattr(_Run, "_update", see)
    saved, history = trained_in(folder, parse_mix(mix), training, image_set(seed=1), SETTINGS | settings)
    monkeypatch.setattr(_Run, "_update", update)
    return seen, history, saved


@pytest.mark.parametrize(
    ("mix", "ends"), [("gan..real+classic", [5, 10]), ("gan=20..other+classic=50..real", [2, 7, 10])]
)
def test_phases_share_the_steps_and_one_schedule(mix, ends, tmp_path, monkeypatch):
    sets = [image_set(30 - 6 * i, seed=i) for i in range(len(ends))]
    seen, history, saved = seen_in(tmp_path, mix, sets, monkeypatch, steps=10)
    assert [n for *_, n in seen] == [8] * 10  # the budget of any mix
    phases = [phase for phase, *_ in seen]
    assert [phases.count(phase) for phase in range(len(ends))] == np.diff([0, *ends]).tolist()
    assert phases == sorted(phases)
    classic = [phase.classic for phase in parse_mix(mix).phases]
    assert [augmented for _, augmented, *_ in seen] == [classic[phase] for phase in phases]
    rates = [rate for _, _, rate, _ in seen]
    assert rates == pytest.approx([1e-3 * (1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)])
    assert {row["step"]: int(row["phase"]) for row in history} == {
        str(step): 1 + next(i for i, end in enumerate(ends) if step <= end) for step in sorted({4, 8, *ends})
    }
    assert saved["mix"] == mix
    assert saved["images"] == sum(map(len, sets))


def test_the_step_that_is_kept_is_of_the_last_phase(tmp_path, monkeypatch):
    worth = iter([0.99, 0.98, 0.7, 0.6])
    monkeypatch.setattr("mammosynth.classifiers.network.area_under_roc", lambda *_: next(worth))
    settings = SETTINGS | {"evaluate_every": 2}
    sets = [image_set(seed=3), image_set()]
    saved, history = trained_in(tmp_path, parse_mix("gan=45..real"), sets, image_set(seed=1), settings)
    assert [(row["step"], row["phase"]) for row in history] == [("2", "1"), ("4", "1"), ("6", "2"), ("8", "2")]
    assert saved["state"]["step"] == 6


def test_normalisation_is_of_the_last_phase(trained, tmp_path):
    bright = ImageSet(image_set().images + 40, image_set().labels, image_set().ids)
    saved, _ = trained_in(tmp_path, parse_mix("gan..real"), [bright, image_set()], image_set(seed=1))
    assert scale_of(saved) == scale_of(trained[0])


@pytest.mark.parametrize("output", ["c.pt", "c.csv", "checkpoint.pt"])
def test_a_full_disk_is_one_message(output, tmp_path):
    (tmp_path / f"{output}.part").symlink_to("/dev/full")  # where files are written before they take their name
    with pytest.raises(InputError, match=rf"{output} cannot be written \(No space left on device\): make room"):
        trained_in(tmp_path, parse_mix("real", []), image_set(), image_set(seed=1))


def test_one_class_is_refused_with_the_mix_named(tmp_path):
    benign = image_set().of_class("benign")
    with pytest.raises(InputError, match="images of mix sngan hold no malignant"):
        trained_in(tmp_path, parse_mix("sngan", ["sngan"]), benign, image_set())
    with pytest.raises(InputError, match=r"images of phase sngan of mix sngan\.\.real hold no malignant"):
        trained_in(tmp_path, parse_mix("sngan..real"), [benign, image_set()], image_set())
    with pytest.raises(InputError, match="validation part hold no malignant"):
        trained_in(tmp_path, parse_mix("real", []), image_set(), benign)


def test_batches_are_balanced_and_epochs_complete():
    labels = np.repeat([0, 1], [12, 3])
    batches = list(balanced_batches(labels, 6, 8, np.random.default_rng(0)))
    assert all((labels[rows] == 1).sum() == 3 for rows in batches)
    assert all(sorted(rows[labels[rows] == 1]) == [12, 13, 14] for rows in batches)
    benign = np.concatenate(batches)[labels[np.concatenate(batches)] == 0]
    assert (np.bincount(benign[:12]) == 1).all()
    odd = np.concatenate(list(balanced_batches(labels, 5, 4, np.random.default_rng(0))))
    assert labels[odd].mean() == 0.5


def test_classical_augmentation_moves_little_and_each_image_its_own_way():
    images = torch.zeros(64, 1, 64, 64)
    images[:, :, 16:24, 40:48] = 0.6  # upper right
    augmented = augment(images, torch.Generator().manual_seed(0))
    assert augmented.shape == images.shape
    assert augmented.min() >= 0
    assert augmented.max() <= 1
    assert len(torch.unique(augmented.flatten(1), dim=0)) == 64
    mass = (augmented - augmented.amin((2, 3), keepdim=True)).clamp(min=0)[:, 0]
    rows = (mass.sum(2) * torch.arange(64)).sum(1) / mass.sum((1, 2))
    columns = (mass.sum(1) * torch.arange(64)).sum(1) / mass.sum((1, 2))
    assert (rows < 32).all()  # never upside down
    assert 0.25 < (columns < 32).float().mean() < 0.75  # half are flipped
    right = columns > 32
    assert torch.allclose(rows[right], torch.tensor(19.5), atol=9)
    assert torch.allclose(columns[right], torch.tensor(43.5), atol=9)


def test_imagenet_weights_see_a_grey_image_as_three_equal_channels(tmp_path):
    from mammosynth.vision import torchvision

    colour = torchvision.models.resnet18().eval()
    torch.save(colour.state_dict(), tmp_path / "resnet18.pth")
    grey = started(tmp_path / "resnet18.pth").eval()
    image = torch.randn(1, 1, 64, 64)
    assert torch.allclose(grey.conv1(image), colour.conv1(image.expand(-1, 3, -1, -1)), atol=1e-5)
    with pytest.raises(InputError, match="holds no torchvision resnet50"):
        started(tmp_path / "resnet18.pth", ResNet50)


def test_width_scales_each_layer():
    """torchvision's has 11,689,512 weights; two of its three input channels and 999 of 1,000 outputs are not here."""
    whole, narrow = (
        sum(p.numel() for p in network({"width": width}, CPU, {}).network.parameters())
        for network, width in ((ResNet18, 64), (ResNet18, 16))
    )
    assert whole == 11_689_512 - 6_272 - 999 * 513
    assert narrow < whole / 15


def test_imagenet_weights_are_the_parameter_file_of_the_methods_name(tmp_path):
    from mammosynth.vision import torchvision

    files = {name: tmp_path / name for name in ("resnet18", "resnet50")}
    for name, file in files.items():
        torch.save(getattr(torchvision.models, name)().state_dict(), file)
    given, obtained = started(files["resnet18"]), started("imagenet", parameters=files)
    drawn = {"fc.weight", "fc.bias"}
    states = given.state_dict(), obtained.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0].keys() - drawn)
    assert len(started("imagenet", ResNet50, files).layer1[0].state_dict()) > len(given.layer1[0].state_dict())


def test_weights_of_older_torchvision_lack_counts_of_batches(tmp_path):
    from mammosynth.vision import torchvision

    state = torchvision.models.resnet18().state_dict()
    older = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(older, tmp_path / "older.pth")
    network = started(tmp_path / "older.pth")
    assert torch.equal(network.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])


def test_a_classifier_that_is_cut_or_of_something_else_is_one_sentence(trained, tmp_path):
    torch.save(trained[0], tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    torch.save({"state": {}}, tmp_path / "other.pt")
    torch.save({"network": Path()}, tmp_path / "foreign.pt")  # what torch would advise to load with weights_only=False
    for name in ("cut", "other", "foreign", "missing"):
        with pytest.raises(
            InputError, match=rf"{name}\.pt .*classifier of mammosynth.*: delete it and run again$"
        ) as error:
            read(tmp_path / f"{name}.pt", CPU)
        assert "weights_only" not in str(error.value)
        assert "\n" not in str(error.value)


def test_weights_that_cannot_be_read_are_refused(tmp_path):
    from mammosynth.vision import torchvision

    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    for name, damaged in (("cut", content[: len(content) // 2]), ("empty", b""), ("page", b"<html>404</html>")):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match=rf"{name} is not a file of weights, or not whole: name a file"):
            started(tmp_path / name)
    torch.save({"state_dict": {}, "epoch": 3}, tmp_path / "wrapped.pth")
    with pytest.raises(InputError, match="holds no torchvision resnet18"):
        started(tmp_path / "wrapped.pth")


def test_weights_that_are_not_there_are_refused():
    with pytest.raises(InputError, match=r"nowhere\.pth does not exist"):
        started("nowhere.pth")


def test_groups_of_weights_learn_at_rates_of_their_own(tmp_path, monkeypatch):
    def rates(classifier):
        return [(classifier.network.fc.parameters(), 1e-2), (classifier.network.layer4.parameters(), 1e-4)]

    seen, update = [], _Run._update
    monkeypatch.setattr(ResNet18, "rates", rates)

    def see(run, rows):
        update(run, rows)
        seen.append([optimiser.rate for optimiser in run.optimisers])

    monkeypatch.setattr(_Run, "_update", see)
    torch.manual_seed(0)
    first = ResNet18(SETTINGS, CPU, {}).network.state_dict()
    saved, _ = trained_in(tmp_path, parse_mix("real"), image_set(), image_set(seed=1))
    assert seen[4] == pytest.approx([1e-2 / 2, 1e-4 / 2])
    moved = {name for name, value in weights_of(saved).items() if not torch.equal(value, first[name].to(value.dtype))}
    assert {name.split(".")[0] for name in moved if "running" not in name and "num_" not in name} == {"fc", "layer4"}


def test_predictions_hold_every_image_of_every_part_once(trained):
    parts = {"val": image_set(seed=1), "test": image_set(9, seed=2)}
    databases = {lesion: "busi" for part in parts.values() for lesion in part.ids}
    where = {"classifier": "resnet18", "mix": "real", "seed": 3}
    predictions = predict(read(trained[2], CPU), parts, databases, where)
    assert list(predictions.columns) == [
        *where, "part", "lesion_id", "patient_id", "database", "pathology", "probability",
    ]  # fmt: skip
    assert (predictions[list(where)] == where).all(axis=None)
    assert predictions.groupby("part").size().to_dict() == {"val": 18, "test": 9}
    validation = predictions[predictions["part"] == "val"]
    malignant = validation["pathology"] == "malignant"
    assert validation.loc[malignant, "probability"].min() > validation.loc[~malignant, "probability"].max()


def test_the_file_is_loaded_without_running_code(trained):
    file = io.BytesIO()
    torch.save(trained[0], file)
    file.seek(0)
    assert torch.load(file, weights_only=True)["mix"] == "real"
