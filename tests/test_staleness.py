"""After one call that succeeds all results are a fresh folder's, and data that are what they were rerun no training.

The workflow is the real one, but for its scripts: each writes a digest of what it was given, its rule, wildcards,
params and inputs, so that an output is right if, and only if, all that it depends on is.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from quality_for_tests import DECLARATIONS, parameter_file

from mammosynth.databases.phantoms import make_phantoms

ROOT = Path(__file__).parents[1]
SCRIPT = '''"""Write what was given."""

import hashlib

if __name__ == "__main__":
    given = [snakemake.rule, sorted(snakemake.wildcards.items()), sorted(map(repr, snakemake.params.items()))]
    for path in sorted(set(map(str, snakemake.input))):
        with open(path, "rb") as file:
            given.append((path, hashlib.file_digest(file, "sha256").hexdigest()))
    for path in snakemake.output:
        with open(path, "w") as file:
            file.write(hashlib.sha256(repr((given, path)).encode()).hexdigest())


def what_it_stands_for():
'''
DATA = {"make_phantoms", "read_lesions", "crop_rois", "partition", "count_parts", "get_parameters"}
AFTER = {"train_gan", "synthesise", "train_classifier", "predict", "assess", "assess_real"}
GIVEN = ("exclusions.csv", "weights.pth", "generator.pt")  # files beside the raw data
STUDY = {
    "sources": {
        "phantom_ultrasound": {"phantoms": {"benign": 20, "malignant": 12}},
        "phantom_mammography": {"phantoms": {"benign": 20, "malignant": 12}},
    },
    "databases": ["phantom_ultrasound", "mine"],
    "partition": {"folds": 3},
    "generators": {
        "cyclegan": {"width": 4, "steps": 3, "evaluate_every": 0},
        "projected_gan": {"width": 4, "steps": 4, "batch": 4, "evaluate_every": 2},
    },
    "gans": ["cyclegan", "projected_gan"],
    "mixes": ["real", "real+cyclegan"],
    "classifier": {"steps": 3, "batch": 8, "evaluate_every": 2},
    "statistics": {"resamples": 100},
}


def hollow(folder: Path, real: set[str]) -> Path:
    """The workflow in *folder* with all scripts but those of the rules *real* replaced; returns its Snakefile."""
    folder.mkdir()
    for name in ("Snakefile", "config.yaml", "workflow", "resources", "profiles", "envs", "mammosynth"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    for script in (folder / "workflow/scripts").glob("*.py"):
        if script.stem not in real:  # its text stays, so that it needs the same code as before
            script.write_text(SCRIPT + textwrap.indent(script.read_text(), "    "))
    return folder / "Snakefile"


def snakemake(snakefile: Path, folder: Path, study: dict, *options: str) -> str:
    """What a call that succeeds says."""
    folder.mkdir(exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "snakemake", "-s", snakefile, "-d", folder, "--cores", "2", "--configfile", path]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def rules_run(output: str) -> set[str]:
    return set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", output, re.MULTILINE))


def results(folder: Path) -> dict[str, bytes]:
    files = (folder / "results").rglob("*")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def changed(study: dict, **changes) -> dict:
    """A study with some keys laid over, dictionaries deeply."""
    return study | {
        key: changed(study.get(key, {}), **value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with raw data, an exclusion list and a study of them that ran to its end."""
    place = tmp_path_factory.mktemp("staleness")
    give(place)
    snakefile = hollow(place / "workflow", set())
    snakemake(snakefile, place / "finished", study_of(place))
    return place


def give(place: Path) -> None:
    """Raw data, and what a study names beside them."""
    make_phantoms("busi", {"benign": 20, "malignant": 12, "seed": 3}, place / "raw")
    (place / "exclusions.csv").write_text("image,reason\n")
    for name in GIVEN[1:]:
        (place / name).write_bytes(bytes(2**21))  # Snakemake compares the content of smaller files itself


def study_of(place: Path) -> dict:
    mine = {"reader": "busi", "modality": "ultrasound", "root": str(place / "raw")}
    mine["exclusions"] = str(place / "exclusions.csv")
    return changed(
        STUDY,
        sources={"mine": mine},
        classifier={"weights": str(place / "weights.pth")},
        generators={"projected_gan": {"start_from": str(place / "generator.pt")}},
    )


def spoil(path: str) -> Callable[[Path, Path], None]:
    """Change a file: one below the raw data, or one of the results of the study."""

    def act(raw: Path, folder: Path) -> None:
        file = next((folder if path.startswith("results") else raw).glob(path))
        file.write_bytes(file.read_bytes() + b"\n")

    return act


def put_an_older_one(name: str) -> Callable[[Path, Path], None]:
    """Put another file in the place of one of those given, as a backup or a download that keeps its time is."""

    def act(place: Path, folder: Path) -> None:
        with open(place / name, "ab") as file:
            file.write(b"\n")
        os.utime(place / name, (10**9, 10**9))

    return act


CHANGES: dict[str, tuple[dict, Callable[[Path, Path], None] | None]] = {
    "margin": ({"rois": {"margin": 0.3}}, None),
    "partition": ({"partition": {"seed": 1}}, None),
    "steps of a GAN": ({"generators": {"cyclegan": {"steps": 5}}}, None),
    "steps of the classifier": ({"classifier": {"steps": 5}}, None),
    "resamples": ({"statistics": {"resamples": 200}}, None),
    "an extractor less": ({"quality": {"extractors": ["squeezenet"]}}, None),
    "filter": ({"quality": {"filter": {"labels": True}}}, None),
    "a fold": ({"folds": [0, 1]}, None),
    "a share": ({"shares": [100, 50]}, None),
    "a seed": ({"seeds": [0, 1]}, None),
    "a mix": ({"mixes": ["real", "real+cyclegan", "real@2"]}, None),
    "a GAN less": ({"gans": ["cyclegan"]}, None),
    "a modality": ({"databases": ["phantom_ultrasound", "mine", "phantom_mammography"]}, None),
    "a database less": ({"databases": ["mine"]}, None),
    "a raw file": ({}, spoil("raw/**/benign (3).png")),
    "an exclusion": ({}, spoil("exclusions.csv")),
    "an older exclusion list": ({}, put_an_older_one("exclusions.csv")),
    "older weights of the classifier": ({}, put_an_older_one("weights.pth")),
    "an older generator to start from": ({}, put_an_older_one("generator.pt")),
    "steps of a GAN and a fold": ({"generators": {"cyclegan": {"steps": 5}}, "folds": [0, 1]}, None),
    "steps of the classifier and a raw file": ({"classifier": {"steps": 5}}, spoil("raw/**/benign (3).png")),
    "a filter and a modality": (
        {
            "quality": {"filter": {"copies": True}},
            "databases": ["phantom_ultrasound", "mine", "phantom_mammography"],
        },
        None,
    ),
    "a seed, an exclusion and resamples": (
        {"seeds": [1], "statistics": {"resamples": 200}},
        spoil("exclusions.csv"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_one_call_all_is_as_in_a_fresh_folder(change, place, tmp_path):
    settings, act = CHANGES[change]
    raw = tmp_path / "place"
    shutil.copytree(place, raw)
    snakefile, folder, study = place / "workflow/Snakefile", raw / "finished", changed(study_of(place), **settings)
    if act:  # the raw data stay where they are, as tables name their files; they are put back afterwards
        act(place, folder)
    try:
        snakemake(snakefile, folder, study)
        again = snakemake(snakefile, folder, study)
        assert "Nothing to be done" in again
        snakemake(snakefile, tmp_path / "fresh", study)
    finally:
        if act:
            shutil.copytree(raw / "raw", place / "raw", dirs_exist_ok=True)
            for name in GIVEN:
                shutil.copy2(raw / name, place / name)
    found, expected = results(folder), results(tmp_path / "fresh")
    assert {name for name, content in expected.items() if found.get(name) != content} == set()


def test_results_follow_code_and_not_its_words(place, tmp_path):
    snakefile, folder = hollow(tmp_path / "workflow", set()), tmp_path / "finished"
    package = snakefile.parent / "mammosynth"
    snakemake(snakefile, folder, study_of(place))

    def change(file: str, before: str, after: str) -> None:
        text = (package / file).read_text(encoding="utf-8")
        assert before in text
        (package / file).write_text(text.replace(before, after, 1), encoding="utf-8")

    change("gans/training.py", '"""', '"""Said otherwise: ')
    change("rois.py", "\n\n\n", "\n\n\n# a comment\n\n\n")
    assert "Nothing to be done" in snakemake(snakefile, folder, study_of(place))
    change("quality/assess.py", "\n\n\n", "\n\nMORE = 1\n\n\n")
    run = rules_run(snakemake(snakefile, folder, study_of(place)))
    assert run & AFTER == {"assess", "assess_real"}
    change("networks/squeezenet.py", "\n\n\n", "\n\nMORE = 1\n\n\n")
    plan = snakemake(snakefile, folder, study_of(place), "--dry-run")
    assert "rule assess_real:" in plan
    assert "output: results/ultrasound/fold0/gans/projected_gan/seed0.pt" in plan  # whose steps it chooses
    assert "output: results/ultrasound/fold0/gans/cyclegan/seed0.pt" not in plan
    snakemake(snakefile, folder, study_of(place))
    change("gans/cyclegan.py", "\n\n\n", "\n\nMORE = 1\n\n\n")
    plan = snakemake(snakefile, folder, study_of(place), "--dry-run")
    assert "gans/cyclegan/seed0.pt" in plan
    assert "output: results/ultrasound/fold0/gans/projected_gan/seed0.pt" not in plan
    snakemake(snakefile, folder, study_of(place), "--touch")  # what was trained is to stay
    assert "Nothing to be done" in snakemake(snakefile, folder, study_of(place))


@pytest.fixture(scope="module")
def with_data(tmp_path_factory):
    """As `place`, the data read in earnest."""
    place = tmp_path_factory.mktemp("content")
    give(place)
    (place / "weights").mkdir()
    for name in ("niqe", "brisque", "efficientnet_lite0", "squeezenet"):
        shutil.copy2(parameter_file(name), place / "weights" / DECLARATIONS[name]["file"])
    hollow(place / "workflow", DATA)
    snakemake(place / "workflow/Snakefile", place / "finished", data_study(place))
    return place


def data_study(place: Path) -> dict:
    return changed(study_of(place), databases=["mine"], parameters=str(place / "weights"))


@pytest.mark.parametrize(
    "act",
    [
        lambda raw: (raw / ".DS_Store").write_bytes(b"Finder"),
        lambda raw: (raw / "notes.txt").write_text("to be looked at"),
        lambda raw: os.utime(next(raw.rglob("malignant (2).png"))),
        lambda raw: (raw / "empty").mkdir(),
        lambda raw: [os.utime(raw.parent / name) for name in GIVEN],
    ],
    ids=["a file of the system", "a note", "a touched image", "an empty folder", "touched files beside the data"],
)
def test_data_that_are_what_they_were_rerun_no_training(act, with_data):
    before = results(with_data / "finished")
    act(with_data / "raw")
    output = snakemake(with_data / "workflow/Snakefile", with_data / "finished", data_study(with_data))
    assert not rules_run(output) & AFTER
    assert before == results(with_data / "finished")


def test_parameter_files_that_lie_elsewhere_rerun_nothing_but_what_shows_the_config(with_data, tmp_path):
    moved = changed(data_study(with_data), parameters=str(tmp_path / "other"))
    shutil.copytree(with_data / "weights", tmp_path / "other")
    output = snakemake(with_data / "workflow/Snakefile", with_data / "finished", moved)
    assert rules_run(output) <= {"write_report", "all"}


@pytest.mark.parametrize("file", ["results/parameters/squeezenet", "results/ultrasound/fold0/train.npz"])
def test_a_file_that_trainings_wait_for_is_refused_once_it_is_cut_short(file, with_data):
    folder = with_data / "finished"
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2])
    command = [sys.executable, "-m", "snakemake", "-s", with_data / "workflow/Snakefile", "-d", folder, "--cores", "2"]
    run = subprocess.run([*command, "--configfile", folder / "study.yaml"], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert f"{file} is not what was written there" in run.stdout + run.stderr
    assert not rules_run(run.stdout + run.stderr) & AFTER
    (folder / file).unlink()
    study = data_study(with_data)
    assert not rules_run(snakemake(with_data / "workflow/Snakefile", folder, study)) & AFTER
    later = changed(study, generators={"cyclegan": {"learning_rate": 0.001}})
    assert "train_gan" in rules_run(snakemake(with_data / "workflow/Snakefile", folder, later))
    assert (folder / file).read_bytes() == whole
    snakemake(with_data / "workflow/Snakefile", folder, study)
