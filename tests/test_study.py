"""The configuration: the shipped studies are valid, and each mistake is refused by name before anything is planned."""

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml

from mammosynth import study
from mammosynth.errors import InputError
from mammosynth.gans import METHODS

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def merge(base: dict, over: dict) -> dict:
    """As Snakemake lays one configuration over another: dicts deeply, all else replaced."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], value) if both else value
    return result


@pytest.fixture
def config() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.mark.parametrize("files", [[], ["real"], ["real", "quick"], ["paper"]], ids="+".join)
def test_the_shipped_studies_are_valid(config, files):
    for name in files:
        config = merge(config, yaml.safe_load((ROOT / f"studies/{name}.yaml").read_text()))
    jsonschema.validate(config, SCHEMA)
    study.check(config)
    assert study.modalities(config) == ["ultrasound", "mammography"]


def test_the_default_study_has_every_kind_of_mix_and_every_gan(config):
    gans = set(config["gans"])
    assert {config["generators"][name]["method"] for name in gans} == set(METHODS)
    assert {"real", "real@2", "real+classic", *gans, *(f"real+{gan}" for gan in gans)} == set(config["mixes"])


def test_the_papers_study_has_the_gans_own_settings(config):
    config = merge(config, yaml.safe_load((ROOT / "studies/paper.yaml").read_text()))
    keys = ("width", "steps", "batch", "critic_steps", "learning_rate")
    settings = {name: tuple(config["generators"][name].get(key) for key in keys) for name in config["gans"]}
    assert settings["sngan"] == settings["cgan"] == (64, 450_000, 64, 5, 2e-4)
    assert settings["wgan_gp"] == (64, 200_000, 64, 5, 1e-4)
    assert settings["cyclegan"] == (64, 100_000, 1, None, 2e-4)
    assert (len(config["folds"]), len(config["seeds"])) == (5, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"databases": ["bussi"]}, "databases names bussi, not among sources: .*busi"),
        ({"gans": ["stylegan"]}, "gans names stylegan, not among generators: wgan_gp"),
        ({"mixes": ["real", "real+stylegan"]}, r"mix real\+stylegan: stylegan is neither"),
        ({"classifier": {"weights": "/nowhere/resnet.pth"}}, "classifier.weights: /nowhere/resnet.pth does not exist"),
        ({"mixes": ["sngan"]}, "mixes lacks 'real'"),
        ({"folds": [5]}, "folds names fold 5, but partition.folds makes 0 to 4"),
        (
            {"sources": {"busi": {"phantoms": {"benign": 9, "malignant": 9}}}, "databases": ["busi"]},
            "needs either root",
        ),
    ],
)
def test_references_to_what_is_not_there_are_refused(config, change, message):
    with pytest.raises(InputError, match=message):
        study.check(merge(config, change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gan": ["sngan"]}, "'gan' was unexpected"),
        ({"generators": {"sngan": {"step": 5}}}, "'step' was unexpected"),
        ({"generators": {"sngan": {"width": 1}}}, "1 is less than the minimum of 4"),
        ({"generators": {"cyclegan": {"critic_steps": 5}}}, "should not be valid under"),
        ({"generators": {"sngan": {"conditioning": "concat"}}}, "should not be valid under"),
        ({"sources": {"busi": {"patient": "x"}}}, "should not be valid under"),
        ({"generators": {"real": {}}}, "'real' does not match"),
        ({"rois": {"size": 64}}, "128 was expected"),
        ({"seeds": []}, "non-empty|too short"),
    ],
)
def test_the_schema_refuses(config, change, message):
    with pytest.raises(jsonschema.ValidationError, match=message):
        jsonschema.validate(merge(config, change), SCHEMA)


def test_every_key_is_described():
    def walk(schema: dict, path: str):
        for name, value in schema.get("properties", {}).items():
            if isinstance(value, dict):
                assert "description" in value or "phantoms" in path, f"{path}.{name} has no description"
                walk(value, f"{path}.{name}")
        if isinstance(schema.get("additionalProperties"), dict):
            walk(schema["additionalProperties"], f"{path}.*")

    walk(SCHEMA, "config")
