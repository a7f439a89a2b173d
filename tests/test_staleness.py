"""After one call that succeeds all results are a fresh folder's, and data that are what they were rerun no training.

The workflow is the real one, but for its scripts: each writes a digest of what it was given, its rule, wildcards,
params and inputs, so that an output is right if, and only if, all that it depends on is.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hollow_workflow import GIVEN, OUTSIDE, changed, give, hollow, results, snakemake, study_of


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with raw data, an exclusion list and a study of them that ran to its end."""
    place = tmp_path_factory.mktemp("staleness")
    give(place)
    snakefile = hollow(place / "workflow", set())
    snakemake(snakefile, place / "finished", study_of(place))
    return place


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
    "steps of a GAN": ({"generators": {"cyclegan": {"steps": 5}}}, None),
    "steps of the classifier": ({"classifiers": {"resnet18": {"steps": 5}}}, None),
    "an extractor less": ({"quality": {"extractors": ["squeezenet"]}}, None),
    "a fold": ({"folds": [0, 1]}, None),
    "a share": ({"shares": [100, 50]}, None),
    "a seed": ({"seeds": [0, 1]}, None),
    "a classifier, which judges labels": (
        {"classifiers": {"other": {"method": "resnet50"}}, "classify_with": ["other", "resnet18"]},
        None,
    ),
    "a mix": ({"mixes": ["real", "real+cyclegan", "real@2"]}, None),
    "a modality": ({"databases": ["phantom_ultrasound", "mine", "phantom_mammography"]}, None),
    "an external database": (OUTSIDE, None),
    "a raw file": ({}, spoil("raw/**/benign (3).png")),
    "an exclusion": ({}, spoil("exclusions.csv")),
    "an older exclusion list": ({}, put_an_older_one("exclusions.csv")),
    "older weights of the classifier": ({}, put_an_older_one("weights.pth")),
    "an older generator to start from": ({}, put_an_older_one("generator.pt")),
    "steps of a GAN and a fold": ({"generators": {"cyclegan": {"steps": 5}}, "folds": [0, 1]}, None),
    "steps of the classifier and a raw file": (
        {"classifiers": {"resnet18": {"steps": 5}}},
        spoil("raw/**/benign (3).png"),
    ),
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
