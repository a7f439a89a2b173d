"""What classifiers of the user's own are told and refused, and their job: a network, and one without a loop.

See test_additions for a study of one.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from additions_for_tests import ENTRIES, FILES, WEIGHT, said_by, workflow_with
from quality_for_tests import image_set

# A network that starts from a file, has its own normalisation, and learns at two rates.
TINY = '''
"""A line through means of 32×32 px."""

from torch import nn

from mammosynth.classifiers.network import NetworkClassifier


class Tiny(NetworkClassifier):
    def make_network(self):
        return nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(16, 1))

    def start(self):
        nn.init.constant_(self.network[2].weight, float(open(self.parameters["means"]).read()))

    def rates(self):
        slow = self.settings["learning_rate"] / 10
        return [([self.network[2].weight], slow), ([self.network[2].bias], self.settings["learning_rate"])]

    def normalise(self, images):
        return 2 * images - 1
'''
TINY_ENTRY = """METHODS |= {
    "tiny": Method("mammosynth.classifiers.tiny:Tiny", "Tiny", takes=LOOP, starts_from="means"),
}
"""
CONFIGURE = """
import json, sys
import jsonschema, yaml
from mammosynth import study
from mammosynth.errors import InputError

schema = yaml.safe_load(open(f"{ROOT}/workflow/schemas/config.schema.yaml", encoding="utf-8"))


def said(classifier, mix="real+sngan"):
    config = yaml.safe_load(open(f"{ROOT}/config.yaml", encoding="utf-8"))
    config["classifiers"]["new"] = classifier
    config["classify_with"], config["mixes"] = ["resnet18", "new"], ["real", mix]
    jsonschema.validate(config, schema)
    try:
        study.check(config)
        return study.resolve_classifiers(config)["new"]
    except InputError as error:
        return str(error)


print(json.dumps([
    said({"method": "centroids"}),
    said({"method": "centroids", "sharpness": 5}),
    said({"method": "centroids", "sharpness": 0}),
    said({"method": "centroids", "steps": 5}),
    said({"method": "tiny", "sharpness": 5}),
    said({"method": "tiny", "weights": None}),
    said({"method": "centroids"}, "sngan..real"),
]))
print(json.dumps([name for name in sys.modules if name == "torch"]))
"""
# The rule's script in a process of its own, its inputs and outputs in a folder.
RUN = """
import runpy, sys
from types import SimpleNamespace


class Given(dict):
    __getattr__ = dict.__getitem__


folder, method, test = sys.argv[1:]
outputs = {"model": "model.pt", "history": "history.csv", "predictions": "predictions.csv"}
inputs = {"train": "train.npz", "val": "val.npz", "test": test, "partition": "partition.csv", "means": "means.txt"}
settings = {"method": method, "sharpness": 2, "steps": 3, "batch": 4, "learning_rate": 0.1, "weight_decay": 0.01,
            "evaluate_every": 1}
snakemake = SimpleNamespace(
    rule="train_classifier", threads=1, resources={}, config={"checkpoint_minutes": 5}, log=[f"{folder}/log"],
    wildcards={"modality": "ultrasound", "split": "fold0", "classifier": method, "mix": "real", "seed": "0"},
    input=Given(inputs), output=Given({name: f"{folder}/{file}" for name, file in outputs.items()}),
    params=Given(settings=settings, checkpoint=f"{folder}/checkpoint.pt", kept=f"{folder}/kept"),
)
runpy.run_path(f"{ROOT}/workflow/scripts/train_classifier.py", {"snakemake": snakemake}, "__main__")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a copy of the workflow to which they were added, and the data of a job."""
    place = tmp_path_factory.mktemp("additions")
    added = {"classifiers/tiny.py": TINY}, {"classifiers/__init__.py": ENTRIES["classifiers/__init__.py"] + TINY_ENTRY}
    workflow_with(place / "workflow", FILES | added[0], ENTRIES | added[1])
    (place / "means.txt").write_bytes(WEIGHT)
    parts = {name: image_set(8, 6, seed=seed) for seed, name in enumerate(("train", "val", "test", "other"))}
    for name, images in parts.items():
        images.save(place / f"{name}.npz")
    ids = np.concatenate([images.ids for images in parts.values()])
    pd.DataFrame({"lesion_id": ids, "database": "mine"}).to_csv(place / "partition.csv", index=False)
    return place


def said(place: Path, code: str, *arguments: str) -> list:
    return said_by(code, place / "workflow", place, *arguments)


def test_a_study_may_name_them_and_is_told_what_they_take(place):
    (default, given, *refused), imported = said(place, CONFIGURE)
    assert default == {"method": "centroids", "sharpness": 2}
    assert given["sharpness"] == 5
    for message, expected in zip(
        refused,
        [
            "config: classifiers.new.sharpness: 0 is less than the minimum of 1 (How sure it is)",
            "config: classifiers.new.steps: centroids has no use for it (it is for resnet18, resnet50, "
            "efficientnet_lite0, tiny); remove it",
            "config: classifiers.new.sharpness: tiny has no use for it (it is for centroids); remove it",
            "config: classifiers.new.weights: tiny has no use for it (it is for resnet18, resnet50); remove it",
            "config: mixes: sngan..real has phases, and classifier new no steps for them to share: leave out the "
            "mix or the classifier",
        ],
        strict=True,
    ):
        assert message == expected
    assert imported == []


@pytest.mark.parametrize("method", ["centroids", "tiny"])
def test_their_job_shows_the_test_part_to_nothing_that_is_fitted(place, method):
    """Of another test part come the same classifier and predictions of the validation part."""
    found = {}
    for test in ("test", "other"):
        folder = place / f"{method}_{test}"
        folder.mkdir()
        said(place, RUN, str(folder), method, f"{test}.npz")
        found[test] = pd.read_csv(folder / "predictions.csv"), (folder / "model.pt").read_bytes()
    (one, model), (other, same) = found.values()
    assert model == same
    assert one[one["part"] == "val"].equals(other[other["part"] == "val"])
    assert not set(one[one["part"] == "test"]["probability"]) & set(other[other["part"] == "test"]["probability"])
    assert {"modality": "ultrasound", "split": "fold0", "classifier": method, "mix": "real", "seed": 0}.items() <= dict(
        one.iloc[0]
    ).items()


def test_a_classifier_whose_predictions_alone_are_stale_is_given_back(place):
    folder = place / "centroids_test"
    before, model = pd.read_csv(folder / "predictions.csv"), (folder / "model.pt").read_bytes()
    for file in ("model.pt", "history.csv", "predictions.csv"):
        (folder / file).unlink()  # as Snakemake does
    with (place / "workflow/mammosynth/classifiers/prediction.py").open("a") as code:
        code.write("\nMORE = 1\n")
    said(place, RUN, str(folder), "centroids", "test.npz")
    assert "was finished by an earlier job" in (folder / "log").read_text()
    assert (folder / "model.pt").read_bytes() == model
    pd.testing.assert_frame_equal(pd.read_csv(folder / "predictions.csv"), before)


def test_the_network_starts_from_its_file_and_keeps_what_it_learnt(place):
    saved = torch.load(place / "tiny_test/model.pt", weights_only=True)["state"]
    weight, bias = saved["network"]["2.weight"], saved["network"]["2.bias"]
    assert (weight != 0.25).any()
    assert (weight - 0.25).abs().max() < 0.03  # three steps at a tenth of the rate
    assert bias.abs() > 0.03
