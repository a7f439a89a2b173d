"""A classifier of a study on one image: the study's probability and call, or a refusal."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from dicom_for_tests import write_dicom
from PIL import Image
from quality_for_tests import image_set

from mammosynth import parameters
from mammosynth.arrays.typicality import fit
from mammosynth.classifiers.card import beside, describe, read, write
from mammosynth.classifiers.mixes import parse_mix
from mammosynth.classifiers.prediction import predict as predict_parts
from mammosynth.classifiers.settings import resolve
from mammosynth.classifiers.training import read as read_classifier
from mammosynth.classifiers.training import train
from mammosynth.classifiers.validation import CALIBRATED, YOUDEN, decided
from mammosynth.errors import InputError
from mammosynth.networks import NETWORKS, Network
from mammosynth.networks.features import features
from mammosynth.prediction import predict

ROIS = {"size": 64, "margin": 0.2, "min_side": 16, "max_padded": 1.0}
CPU = torch.device("cpu")


def load(weights, device):
    """Means and deviations of 16 px blocks."""

    def network(images):
        blocks = images[:, 0].float().unfold(1, 16, 16).unfold(2, 16, 16)
        return torch.cat([part.flatten(1) for part in (blocks.mean((3, 4)), blocks.std((3, 4)))], 1)

    return network


@pytest.fixture(scope="module", autouse=True)
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    (folder / "weights").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "toy", Network("toy", 32, {}, __name__))
        patch.setattr(parameters, "cached", lambda name, declaration: folder / "weights")
        yield folder / "weights"


@pytest.fixture(scope="module")
def study(tmp_path_factory, toy):
    """A classifier with its card, the test part that it was tested on, and its predictions."""
    folder = tmp_path_factory.mktemp("study")
    small = [replace(part, images=part.images[:, ::2, ::2]) for part in (image_set(30, 20, n, 2) for n in (1, 2, 3))]
    parts = dict(zip(("train", "val", "test"), small))
    settings = resolve("tiny", {"method": "resnet18", "steps": 2, "batch": 8, "evaluate_every": 2})
    places = {name: folder / f"seed0.{suffix}" for name, suffix in (("model", "pt"), ("history", "csv"))}
    mix, device = parse_mix("real"), CPU
    train(
        mix, [parts["train"]], parts["val"], settings, 0, device, **places, checkpoint=folder / "checkpoints" / "c.pt"
    )
    where = {"modality": "mammography", "split": "fold0", "classifier": "tiny", "mix": "real", "seed": 0}
    databases = {name: "mine" for part in small for name in part.ids.tolist()}
    tested = {name: parts[name] for name in ("val", "test")}
    predictions = predict_parts(read_classifier(places["model"], CPU), tested, databases, where)
    columns = {"lesion_id": parts["train"].ids, "group": parts["train"].patients, "database": "mine"}
    training = pd.DataFrame(columns).assign(scale=np.linspace(0.5, 2, len(parts["train"])))
    card = describe(predictions, training, places["model"], ROIS, "resnet18", "toy", 100, 0)
    write(card, fit(features(parts["train"].images, "toy", toy, CPU), parts["train"].patients), places["model"])
    return places["model"], parts["test"], predictions


def saved(folder, pixels, name="roi.png"):
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def test_probability_and_calls_are_those_of_the_study(study, tmp_path):
    model, test, predictions = study
    expected = decided(predictions.assign(fold=0, share=100)).set_index("lesion_id")
    calls = set()
    for image, name in zip(test.images[:12], test.ids):
        found = predict(model, saved(tmp_path, image))
        assert found.probability == pytest.approx(expected.loc[name, CALIBRATED], abs=1e-6)
        malignant = expected.loc[name, "probability"] >= expected.loc[name, YOUDEN]
        assert found.calls[YOUDEN] == ("malignant" if malignant else "benign")
        calls.add(found.calls[YOUDEN])
        assert found.notes[-1].startswith("Not for clinical use")
    assert len(predictions["probability"].unique()) > 12


def test_a_box_is_cropped_as_the_study_crops(study, tmp_path):
    model, test, _ = study
    film = np.zeros((200, 240), np.uint8)
    film[40:168, 50:178] = np.kron(test.images[0], np.ones((2, 2), np.uint8))
    found = predict(model, saved(tmp_path, film), (68, 58, 159, 149))  # with a margin of 0.2: the ROI
    assert 0 < found.probability < 1


def test_dicom_of_its_modality_is_read_and_of_another_refused(study, tmp_path):
    model, test, _ = study
    same = write_dicom(tmp_path / "a.dcm", test.images[0], Modality="MG")
    assert predict(model, same).probability == pytest.approx(
        predict(model, saved(tmp_path, test.images[0])).probability
    )
    for other in ("US", "CT"):
        file = write_dicom(tmp_path / "b.dcm", test.images[0], Modality=other)
        with pytest.raises(
            InputError, match=rf"b\.dcm is of the DICOM modality {other}, and the classifier knows mammo"
        ):
            predict(model, file)


def test_what_is_unlike_the_training_rois_is_refused(study, tmp_path):
    model, test, _ = study
    unlike = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (64, 64))
    with pytest.raises(InputError, match=r"its ROI is unlike the mammography ROIs .* nothing is predicted"):
        predict(model, saved(tmp_path, unlike))
    large = np.kron(test.images[0], np.ones((8, 8), np.uint8))
    with pytest.raises(
        InputError, match=r"the whole image is 512 px wide.* 16 to 256 px likely: give the lesion by --box"
    ):
        predict(model, saved(tmp_path, large))
    with pytest.raises(InputError, match="around the box is 14 px wide"):
        predict(model, saved(tmp_path, large), (100, 100, 110, 110))
    with pytest.raises(InputError, match="is empty or not inside"):
        predict(model, saved(tmp_path, large), (100, 100, 10, 600))


def test_the_card_is_of_the_hubs_form_and_of_this_model_alone(study, tmp_path):
    model, test, predictions = study
    card, limits = beside(model)
    metadata = yaml.safe_load(card.read_text().split("---")[1])
    assert metadata["library_name"] == "mammosynth"
    (result,) = metadata["model-index"][0]["results"]
    assert {"task", "dataset", "metrics"} <= set(result)
    labels = predictions["part"] == "test", predictions["pathology"] == "malignant"
    from sklearn.metrics import roc_auc_score

    expected = roc_auc_score(labels[1][labels[0]], predictions["probability"][labels[0]])
    assert result["metrics"][0]["value"] == pytest.approx(expected, abs=1e-4)
    own, _ = read(model)
    assert own["trained_on"] == {"rois": 50, "patients": 25}
    assert "Not for clinical use" in card.read_text()

    alone = tmp_path / "seed0.pt"
    alone.write_bytes(model.read_bytes())
    with pytest.raises(InputError, match=r"has no seed0\.md beside it"):
        predict(alone, saved(tmp_path, test.images[0]))
    for file in (card, limits):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert predict(alone, saved(tmp_path, test.images[0])).probability > 0
    alone.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(InputError, match="is of another classifier"):
        predict(alone, saved(tmp_path, test.images[0]))


def test_ready_made_rois_say_nothing_of_sizes(study):
    _, test, predictions = study
    training = pd.DataFrame({"lesion_id": test.ids, "group": test.patients, "database": "mine", "scale": 1.0})
    card = describe(predictions, training, study[0], ROIS, "resnet18", "toy", 100, 0)
    assert card["mammosynth"]["sides"] is None
    with pytest.raises(InputError, match="lack its validation part"):
        describe(predictions[predictions["part"] == "test"], training, study[0], ROIS, "resnet18", "toy", 100, 0)
