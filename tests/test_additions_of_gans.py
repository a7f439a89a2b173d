"""What a GAN and a feature network of the user's own are told and refused, and what they make; see test_additions."""

import pytest
from additions_for_tests import ENTRIES, FILES, WEIGHT, said_by, workflow_with
from quality_for_tests import image_set

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
    said({"method": "blocks"}),
    said({"method": "blocks", "contrast": 0.25, "lecam": 0.3}),
    said({"method": "blocks", "contrast": 2}),
    said({"method": "blocks", "contrast": "cold"}),
    said({"method": "blocks", "contrst": 0.25}),
    said({"method": "sngan", "contrast": 0.25}),
    said({"method": "blocks", "noise": True}),
    said({"method": "blocks"}, ["modes"]),
]))
print(json.dumps([name for name in sys.modules if name == "torch"]))
"""
TRAIN = """
import json
from pathlib import Path
import torch
from mammosynth.gans.settings import Settings
from mammosynth.gans.training import load_generator, train
from mammosynth.imageset import ImageSet
from mammosynth.networks.features import features

images = ImageSet.load("images.npz")
found = {}
for contrast in (0.25, 0.5):
    names = {name: Path(f"{name}{contrast}") for name in ("generator", "history", "progress", "checkpoint")}
    settings = Settings.of({"method": "blocks", "width": 4, "steps": 2, "batch": 2, "learning_rate": 2e-4,
                            "contrast": contrast})
    train(images, settings, 0, **names)
    found[contrast] = torch.load(names["generator"])["fingerprint"], names["history"].read_text()
assert load_generator(Path("generator0.25")).settings.own == {"contrast": 0.25}
print(json.dumps({"found": found, "features": features(images.images, "means", "means.txt").tolist()}))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the workflow to which they were added."""
    return workflow_with(tmp_path_factory.mktemp("additions") / "workflow", FILES, ENTRIES)


def test_a_study_may_name_them_and_is_told_what_they_take(house, tmp_path):
    (default, given, *refused), torch = said_by(CONFIGURE, house, tmp_path)
    assert default["contrast"] == 0.5
    assert (given["contrast"], given["lecam"]) == (0.25, 0.3)
    for message, expected in zip(
        refused,
        [
            "config: generators.new.contrast: 2 is greater than the maximum of 1 (how far images are from grey)",
            "config: generators.new.contrast: 'cold' is not of type 'number' (how far images are from grey)",
            "config: generators.new.contrst: blocks has no such setting; did you mean contrast?",
            "config: generators.new.contrast: sngan has no use for it (it is for blocks); remove it",
            "config: generators.new.noise: blocks has no use for it (it is for wgan_gp, cgan, sngan); remove it",
            "config: quality.extractors names modes, not among networks: efficientnet_lite0, squeezenet, dinov2, "
            "inception, means",
        ],
        strict=True,
    ):
        assert message == expected
    assert torch == []


def test_another_setting_of_the_gans_own_is_another_training_and_the_network_reads_its_file(house, tmp_path):
    (tmp_path / "means.txt").write_bytes(WEIGHT)
    image_set(4, 4).save(tmp_path / "images.npz")
    (said,) = said_by(TRAIN, house, tmp_path)
    (key, history), (other_key, other_history) = said["found"].values()
    assert key != other_key
    assert history != other_history
    images = image_set(4, 4).images.reshape(8, 8, 16, 8, 16).mean((2, 4)).reshape(8, 64)
    assert said["features"] == pytest.approx(float(WEIGHT) * images, rel=1e-5)
