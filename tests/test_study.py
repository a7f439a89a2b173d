"""The configuration: the shipped studies are valid, and each mistake is refused by name before anything is planned."""

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml

from mammosynth import study
from mammosynth.errors import InputError
from mammosynth.gans import METHODS, settings

ROOT = Path(__file__).parents[1]
SWITCHED_OFF = {
    "critic_learning_rate": 0.0, "critic_steps": 1, "smooth_upsampling": False, "noise": False, "flips": False,
    "diffaugment": (), "r1": 0.0, "lecam": 0.0, "ema_half_life": 10_000, "evaluate_every": 0, "patience": 0,
    "start_from": "", "freeze_critic": 0, "precision": "auto",
}  # fmt: skip
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())

MINE = {"reader": "udiat", "modality": "ultrasound"}


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


def test_a_mix_in_any_spelling_is_found(config):
    study.check(merge(config, {"mixes": ["real@1.0", "classic+sngan@0.50+real"]}))


def test_the_default_study_has_every_kind_of_mix_and_every_gan(config):
    gans = set(config["gans"])
    assert {config["generators"][name]["method"] for name in gans} == set(METHODS) - {"fastgan"}
    hybrid = {f"real+{gan}" for gan in gans}
    assert {"real", "real@2", "real+classic", "projected_gan", *hybrid} == set(config["mixes"])


def test_the_papers_study_has_the_gans_own_settings(config):
    config = merge(config, yaml.safe_load((ROOT / "studies/paper.yaml").read_text()))
    assert {config["generators"][name]["method"] for name in config["gans"]} == set(METHODS)
    keys = ("width", "steps", "batch", "critic_steps", "learning_rate")
    found = study.resolve_generators(config)
    used = {name: tuple(found[name].get(key) for key in keys) for name in config["gans"]}
    assert used["sngan"] == used["cgan"] == (64, 450_000, 64, 5, 2e-4)
    assert used["wgan_gp"] == (64, 200_000, 64, 5, 1e-4)
    assert used["cyclegan"] == (64, 100_000, 1, None, 2e-4)
    assert (len(config["folds"]), len(config["seeds"])) == (5, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"databases": ["bussi"]}, "databases names bussi, not among sources: .*busi"),
        ({"gans": ["stylegan"]}, "gans names stylegan, not among generators: wgan_gp"),
        ({"mixes": ["real", "real+stylegan"]}, r"mix real\+stylegan: stylegan is neither"),
        ({"mixes": ["sngan"]}, "mixes lacks 'real'"),
        (
            {"quality": {"extractors": ["resnet"]}},
            "extractors names resnet, not among networks: efficientnet",
        ),
        ({"generators": {"fastgan": {"step": 5}}}, r"generators\.fastgan\.step: .* did you mean steps"),
        (
            {"generators": {"new": {"method": "cgan", "conditioning": 1}}},
            r"new\.conditioning: 1 is not one",
        ),
        ({"generators": {"new": {"method": "stylegan"}}}, r"generators\.new\.method: stylegan is not one of"),
        ({"mixes": ["real", "real@1"]}, "mixes names one mix twice, as real and as real@1: leave"),
        (
            {"mixes": ["real", "sngan=50..real", "real+sngan", "sngan..real"]},
            r"mixes names one mix twice, as sngan=50\.\.real and as sngan\.\.real: leave",
        ),
        ({"mixes": ["real", "sngan=1..real"]}, "its phase sngan has none of the classifier's 40 steps"),
        ({"classify_with": ["vgg"]}, "classify_with names vgg, not among classifiers: resnet18"),
        (
            {"classifiers": {"new": {"method": "vgg"}}},
            r"classifiers\.new\.method: vgg is not one of resnet18, resnet50",
        ),
        ({"classifiers": {"new": {"method": "resnet50", "step": 5}}}, r"classifiers\.new\.step: .* did you mean steps"),
        (
            {"classifiers": {"resnet18": {"batch": 1}}},
            r"classifiers\.resnet18\.batch: 1 is less than the minimum of 2 \(Images of an update",
        ),
        ({"folds": [5]}, "folds names fold 5, but partition.folds makes 0 to 4"),
        (
            {"sources": {"busi": {"phantoms": {"benign": 9, "malignant": 9}}}, "databases": ["busi"]},
            "needs either root",
        ),
        (
            {"sources": {"own": MINE | {"reader": "table", "download": True}}, "databases": ["own"]},
            "sources.own: there is nothing to download for reader table: give its root",
        ),
        (
            {"sources": {"own": MINE | {"phantoms": {"benign": 9, "malignant": 9}}}, "databases": ["own"]},
            "sources.own.phantoms: there are no phantoms for reader udiat: use one of busi, mini_mias, or give a root",
        ),
        ({"sources": {"all": {"reader": "busi"}}}, "sources.all: that name stands for all databases together: choose"),
        ({"sources": {"pooled": {"reader": "busi"}}}, "sources.pooled: that name stands for all databases"),
        (
            {"sources": {"mammography": {"reader": "busi"}}},
            "sources.mammography: that name stands for the databases of",
        ),
        ({"generators": {"real": {"method": "sngan"}}}, "generators.real: that name stands for real ROIs: choose"),
        ({"generators": {"held_out": {"method": "sngan"}}}, "generators.held_out: that name stands for the validation"),
        ({"generators": {"controls": {"method": "sngan"}}}, "generators.controls: that name stands for mixes"),
        ({"generators": {"balance": {"method": "sngan"}}}, "generators.balance: that name stands for a dose"),
        ({"generators": {"classic": {"method": "sngan"}}}, "generators.classic: that name stands for"),
        ({"generators": {"floor": {"method": "sngan"}}}, "generators.floor: that name stands for"),
        ({"generators": {"all": {"method": "sngan"}}}, "generators.all: that name stands for"),
        (
            {"classifiers": {"resnet18": {"width": 16, "weights": "imagenet"}}},
            "classifiers.resnet18.width is 16, and its weights are of a network of width 64: set width: 64, or",
        ),
    ],
)
def test_references_to_what_is_not_there_are_refused(config, change, message):
    with pytest.raises(InputError, match=message):
        study.check(merge(config, change))


def test_a_classifier_has_the_defaults_of_its_method_below_what_is_given(config):
    changed = merge(config, {"classifiers": {"large": {"method": "resnet50", "steps": 7}}, "classify_with": ["large"]})
    assert study.resolve_classifiers(changed) == {
        "large": {
            "method": "resnet50", "steps": 7, "batch": 32, "learning_rate": 0.0005, "weight_decay": 0.01,
            "evaluate_every": 100, "width": 64, "weights": None,
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("stylegan", {}, r"generators\.mine\.method: stylegan is not one of wgan_gp, "),
        ("sngan", {"preset": "best"}, r"preset: sngan has no preset best; it has reference, few-images"),
        ("sngan", {"width": 8, "steps": 5, "batch": 4}, r"generators\.mine has no learning_rate: give it, or a preset"),
        ("cyclegan", {"preset": "reference", "critic_steps": 5}, "critic_steps: cyclegan has no use for it"),
        ("sngan", {"preset": "reference", "conditioning": "concat"}, r"has no use for it \(it is for cgan\)"),
        ("cgan", {"preset": "reference", "conditioning": "both"}, r"'both' is not one of \['projection'.*how it gets"),
        (
            "fastgan",
            {"preset": "few-images", "noise": True},
            r"noise: .* \(it is for wgan_gp, cgan, sngan\)",
        ),
        (
            "cgan",
            {"preset": "reference", "step": 5},
            r"mine\.step: cgan has no such .* did you mean steps\?",
        ),
        ("sngan", {"preset": "reference", "colour": 5}, r"sngan has no such setting; it has method, width, .*r1"),
        ("sngan", {"preset": "reference", "own": {}}, r"own: sngan has no such setting"),
        ("wgan_gp", {"preset": "reference", "r1": 0.1}, "r1: wgan_gp has no use for it"),
        ("projected_gan", {"preset": "few-images", "freeze_critic": 1}, "freeze_critic: projected_gan has no use"),
        ("sngan", {"preset": "reference", "patience": 3}, "patience counts evaluations, and there are none"),
        ("sngan", {"preset": "few-images", "steps": 9}, "evaluate_every: [0-9]+ is more than its 9 steps"),
        ("sngan", {"preset": "reference", "freeze_critic": 2}, "freeze_critic would freeze random weights"),
    ],
)
def test_settings_that_make_no_sense_are_refused(method, given, message):
    with pytest.raises(InputError, match=message):
        settings.resolve("mine", {"method": method, **given})


@pytest.mark.parametrize(
    ("preset", "method"), [(p, m) for p, of_methods in settings.presets().items() for m in of_methods]
)
def test_presets_are_whole_and_without_contradiction(preset, method):
    found = settings.resolve("mine", {"method": method, "preset": preset, "width": 4})
    assert found["width"] == 4
    assert settings.Settings.of(found).method == method
    assert set(settings.presets()["few-images"]) == set(METHODS)


@pytest.mark.parametrize(
    ("preset", "method"),
    [(p, m) for p, of_methods in settings.presets().items() for m in of_methods] + [(None, m) for m in METHODS],
)
def test_what_is_not_set_is_what_it_has_always_been(preset, method):
    """What GANs of version 0.1 were trained with; settings that a GAN does not take are switched off, and not named."""
    needed = {"method": method, "width": 4, "steps": 1000, "batch": 2, "learning_rate": 0.1}
    given = {"method": method, "preset": preset} if preset else needed
    expected = SWITCHED_OFF | (settings.presets()[preset][method] | {"method": method} if preset else needed)
    expected["diffaugment"] = tuple(expected["diffaugment"])
    made = settings.Settings.of(settings.resolve("mine", given))
    own = {"conditioning": "projection"} if method == "cgan" else {}
    assert {key: getattr(made, key) for key in expected} == expected
    assert made.own == own
    untaken = set(settings.OPTIONS) - set(METHODS[method].takes)
    assert made.flat() == {key: value for key, value in expected.items() if key not in untaken} | own
    assert settings.Settings.of(made.flat()) == made


@pytest.mark.parametrize("method", METHODS)
def test_gans_declare_their_settings_soundly(method):
    assert set(METHODS[method].takes) <= set(settings.OPTIONS)
    assert not set(METHODS[method].own) & {"preset", "own", *settings.COMMON, *settings.OPTIONS}
    for declared in METHODS[method].own.values():
        jsonschema.Draft202012Validator.check_schema(declared)
        assert declared["description"]
        jsonschema.validate(declared["default"], declared)


def test_the_schema_describes_the_settings_that_gans_share():
    described = SCHEMA["properties"]["generators"]["additionalProperties"]["properties"]
    assert set(described) == {"preset", *settings.COMMON, *settings.OPTIONS}


def test_a_study_whose_only_features_a_gan_is_trained_against_is_refused(config):
    assert study.rank_extractors(config) == ["squeezenet", "efficientnet_lite0"]
    with pytest.raises(InputError, match="names only efficientnet_lite0, which a GAN of this study is trained against"):
        study.check(merge(config, {"quality": {"extractors": ["efficientnet_lite0"]}}))
    without = merge(config, {"gans": ["sngan"], "mixes": ["real"]})
    assert study.rank_extractors(without) == study.rank_extractors(config)
    alone = merge(without, {"quality": {"extractors": ["efficientnet_lite0"]}})
    assert study.rank_extractors(alone) == ["efficientnet_lite0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gan": ["sngan"]}, "'gan' was unexpected"),
        ({"generators": {"sngan": {"width": 1}}}, "1 is less than the minimum of 4"),
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
