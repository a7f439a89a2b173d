"""A GAN and a feature network are added by a file and an entry each, and nothing else is edited."""

import pytest
from additions_for_tests import package_with, said_by
from quality_for_tests import image_set

GAN = '''
"""SNGAN of a colder temperature."""

import torch

from mammosynth.gans.sngan import Sngan


class Mine(Sngan):
    """Latents are drawn with a standard deviation of their own."""

    def _fakes(self, name, labels):
        return super()._fakes(name, labels) * self.settings.own["temperature"]
'''
ENTRY = """METHODS |= {
    "mine": Method(
        "mammosynth.gans.mine:Mine",
        "Mine",
        takes=("lecam",),
        own={
            "temperature": {
                "description": "how far images are from grey",
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1,
                "default": 0.5,
            }
        },
    )
}
"""
NETWORK = '''
"""Means of 16×16 px, from a file that says how much they weigh."""

from torch.nn import functional as F


def load(weights, device):
    factor = float(weights.read_text())
    return lambda images: factor * F.avg_pool2d(images[:, :1].float(), 16).flatten(1)
'''
DECLARATION = """
means:
  title: means of 16×16 px
  dimension: 64
  weights: {file: means.txt, sha256: "0", what: a number, licence: none, sources: []}
"""
CONFIGURE = """
import json, sys
import jsonschema, yaml
from mammosynth import study
from mammosynth.errors import InputError

config = yaml.safe_load(open(f"{ROOT}/config.yaml", encoding="utf-8"))
schema = yaml.safe_load(open(f"{ROOT}/workflow/schemas/config.schema.yaml", encoding="utf-8"))
base = {"width": 4, "steps": 2, "batch": 2, "learning_rate": 0.1}


def said(generator, extractors=("means", "squeezenet")):
    config["generators"]["new"] = base | generator
    config["gans"], config["mixes"] = ["new"], ["real", "real+new"]
    config["quality"]["extractors"] = list(extractors)
    jsonschema.validate(config, schema)
    try:
        study.check(config)
        return study.resolve_generators(config)["new"]
    except InputError as error:
        return str(error)


print(json.dumps([
    said({"method": "mine"}),
    said({"method": "mine", "temperature": 0.25, "lecam": 0.3}),
    said({"method": "mine", "temperature": 2}),
    said({"method": "mine", "temperature": "cold"}),
    said({"method": "mine", "temprature": 0.25}),
    said({"method": "sngan", "temperature": 0.25}),
    said({"method": "mine", "noise": True}),
    said({"method": "mine"}, ["modes"]),
]))
print(json.dumps([name for name in sys.modules if name == "torch"]))
"""
TRAIN = """
import json
from pathlib import Path
import torch
from mammosynth import code
from mammosynth.gans.settings import Settings
from mammosynth.gans.training import load_generator, train
from mammosynth.imageset import ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.networks.features import features
from mammosynth.findings.names import name_of

images = ImageSet.load("images.npz")
found = {}
for temperature in (0.25, 0.5):
    names = {name: Path(f"{name}{temperature}") for name in ("generator", "history", "progress", "checkpoint")}
    settings = Settings.of({"method": "mine", "width": 4, "steps": 2, "batch": 2, "learning_rate": 2e-4,
                            "evaluate_every": 1, "temperature": temperature})
    train(images, settings, 0, **names, validation=images, extractor="means", parameters={"means": Path("means.txt")})
    content = torch.load(names["generator"])
    found[temperature] = content["settings"]["temperature"], content["fingerprint"], names["history"].read_text()
assert load_generator(Path("generator0.25")).settings.own == {"temperature": 0.25}
print(json.dumps({"found": found, "kd": NETWORKS["means"].measure("KD"), "title": name_of("mine"),
                  "features": features(images.images, "means", "means.txt").tolist()}))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a copy of the package to which a GAN and a network were added."""
    folder = tmp_path_factory.mktemp("additions")
    files = {"gans/mine.py": GAN, "networks/means.py": NETWORK}
    package_with(folder, files, {"gans/__init__.py": ENTRY, "networks/networks.yaml": DECLARATION})
    (folder / "means.txt").write_text("2.0", encoding="utf-8")
    image_set(4, 4).save(folder / "images.npz")
    return folder


def test_a_study_may_name_them_and_is_told_what_they_take(package):
    (default, given, *refused), torch = said_by(CONFIGURE, package)
    assert default["temperature"] == 0.5
    assert (given["temperature"], given["lecam"]) == (0.25, 0.3)
    for message, expected in zip(
        refused,
        [
            "config: generators.new.temperature: 2 is greater than the maximum of 1 (how far images are from grey)",
            "config: generators.new.temperature: 'cold' is not of type 'number' (how far images are from grey)",
            "config: generators.new.temprature: mine has no such setting; did you mean temperature?",
            "config: generators.new.temperature: sngan has no use for it (it is for mine); remove it",
            "config: generators.new.noise: mine has no use for it (it is for wgan_gp, cgan, sngan); remove it",
            "config: quality.extractors names modes, not among networks: efficientnet_lite0, squeezenet, dinov2, "
            "inception, means",
        ],
        strict=True,
    ):
        assert message == expected
    assert torch == []


def test_the_gan_is_trained_by_its_own_setting_and_its_step_chosen_by_the_network(package):
    (said,) = said_by(TRAIN, package)
    (quarter, key, history), (half, other_key, other_history) = said["found"].values()
    assert (quarter, half) == (0.25, 0.5)
    assert key != other_key
    assert history != other_history
    assert history.splitlines()[0].endswith(",kd")
    assert (said["kd"], said["title"]) == ("KD (means of 16×16 px)", "Mine")
    images = image_set(4, 4).images.reshape(8, 8, 16, 8, 16).mean((2, 4)).reshape(8, 64)
    assert said["features"] == pytest.approx(2 * images, rel=1e-5)
