"""Paths of the configuration: variables and ~ in each key, and what is refused."""

import copy
import shutil
from pathlib import Path

import pytest
import yaml
from quality_for_tests import parameter_file
from workflow_for_tests import snakemake

from mammosynth import study
from mammosynth.errors import InputError
from mammosynth.paths import plain

ROOT = Path(__file__).parents[1]
KEYS = [
    "downloads", "parameters", "classifiers.resnet18.weights", "sources.mine.root", "sources.mine.exclusions",
    "sources.mine.patients", "generators.sngan.start_from",
]  # fmt: skip


@pytest.fixture
def config() -> dict:
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"downloads": "databases", "parameters": None}
    config["sources"]["mine"] = {"reader": "busi", "modality": "ultrasound", "root": "/data/busi"}
    return config | {"databases": ["mine", "phantom_mammography"]}


def put(config: dict, key: str, value: str) -> dict:
    config = copy.deepcopy(config)
    *above, last = key.split(".")
    place = config
    for step in above:
        place = place[step]
    place[last] = value
    return config


def get(config: dict, key: str):
    for step in key.split("."):
        config = config[step]
    return config


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("written", ["$PLACE/file", "${PLACE}/file", "~/file"])
def test_variables_and_home_are_filled_in(config, tmp_path, monkeypatch, key, written):
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").write_text("")
    given = put(config, key, written)
    assert get(plain(given, ROOT), key) == str(tmp_path / "file")
    assert get(given, key) == written  # the configuration itself is left alone


@pytest.mark.parametrize("key", KEYS)
def test_a_variable_that_is_not_set_is_refused_by_key(config, monkeypatch, key):
    monkeypatch.delenv("PLACE", raising=False)
    with pytest.raises(InputError) as error:
        plain(put(config, key, "$PLACE/file"), ROOT)
    assert f'config: {key} is "$PLACE/file", but the environment variable PLACE is not set' in str(error.value)


def test_all_keys_at_fault_are_named_at_once_and_an_unknown_home_is_one(config, monkeypatch):
    monkeypatch.delenv("PLACE", raising=False)
    for key in KEYS:
        config = put(config, key, "~nobody_of_this_name/file" if key == "parameters" else "$PLACE/file")
    with pytest.raises(InputError) as error:
        plain(config, ROOT)
    assert all(f"config: {key} " in str(error.value) for key in KEYS)
    assert "whose home folder is not known" in str(error.value)


def test_what_a_study_does_not_select_is_left_as_it_is(config, monkeypatch):
    monkeypatch.delenv("MAMMOSYNTH_DATA", raising=False)
    config = put(config, "generators.fastgan.start_from", "$MAMMOSYNTH_DATA/x.pt")
    assert "fastgan" not in config["gans"]
    result = plain(config, ROOT)
    assert result["sources"]["udiat"] == config["sources"]["udiat"]
    assert result["generators"]["fastgan"] == config["generators"]["fastgan"]


def test_wildcards_of_start_from_stay(config, monkeypatch):
    monkeypatch.setenv("PLACE", "/there")
    start = "/{modality}/fold{fold}/gans/sngan/seed{seed}.pt"
    result = plain(put(config, "generators.sngan.start_from", f"${{PLACE}}{start}"), ROOT)
    assert get(result, "generators.sngan.start_from") == f"/there{start}"


def test_lists_are_found_in_the_working_directory_first_and_refused_where_they_are_not(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = "resources/patients/udiat.csv"
    result = plain(put(config, "sources.mine.patients", shipped), ROOT)
    assert get(result, "sources.mine.patients") == str(ROOT / shipped)
    (tmp_path / "resources/patients").mkdir(parents=True)
    (tmp_path / shipped).write_text("image,patient\n")
    assert get(plain(put(config, "sources.mine.patients", shipped), ROOT), "sources.mine.patients") == shipped
    with pytest.raises(InputError, match=r'config: sources\.mine\.patients is "none\.csv", which is no file: mend'):
        plain(put(config, "sources.mine.patients", "none.csv"), ROOT)


def test_weights_that_do_not_exist_are_refused(config):
    with pytest.raises(
        InputError, match=r"classifiers\.resnet18\.weights: /nowhere/resnet\.pth does not exist; name a file"
    ):
        plain(put(config, "classifiers.resnet18.weights", "/nowhere/resnet.pth"), ROOT)
    given = put(config, "classifiers.resnet18.weights", None)
    assert plain(given, ROOT)["classifiers"]["resnet18"]["weights"] is None
    given = put(config, "classifiers.resnet18.weights", "imagenet")  # no path
    assert plain(given, ROOT)["classifiers"]["resnet18"]["weights"] == "imagenet"


def test_the_default_study_needs_no_variable(config, monkeypatch):
    monkeypatch.delenv("MAMMOSYNTH_DATA", raising=False)
    default = config | {"databases": ["phantom_ultrasound", "phantom_mammography"]}
    study.check(default)
    assert plain(default, ROOT)["sources"] == default["sources"]


def test_the_workflow_fills_them_in(tmp_path, monkeypatch):
    monkeypatch.setenv("PLACE", str(tmp_path))
    (tmp_path / "weights.pth").write_bytes(b"")
    (tmp_path / "mine").mkdir()
    shutil.copy2(parameter_file("brisque"), tmp_path / "mine/allmodel")
    study = {
        "classifiers": {"resnet18": {"width": 64, "weights": "$PLACE/weights.pth"}},
        "parameters": "$PLACE/mine",
        "downloads": "~/d",
    }
    model = "results/ultrasound/fold0/classifiers/resnet18/real/seed0.pt"
    assert f"{tmp_path}/weights.pth" in snakemake(tmp_path, model, "--dry-run", study=study).stdout
    obtained = {"classifiers": {"resnet18": {"width": 64, "weights": "imagenet"}}}
    plan = snakemake(tmp_path, model, "--dry-run", study=obtained).stdout
    assert "output: results/parameters/resnet18\n" in plan
    assert "results/parameters/resnet50" not in plan
    run = snakemake(tmp_path, "results/parameters/brisque", study=study)
    assert run.returncode == 0, run.stdout
    assert f"from folder {tmp_path}/mine" in (tmp_path / "logs/get_parameters/brisque.log").read_text()
