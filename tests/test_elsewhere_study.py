"""A study with images made elsewhere: nothing is trained for them, what they change is run again, and nothing else."""

import os
import shutil
from pathlib import Path

import pytest
import workflow_for_tests
from hollow_workflow import AFTER, DATA, changed, hollow, rules_run, snakemake
from quality_for_tests import DECLARATIONS, parameter_file, textures
from test_elsewhere import put

from mammosynth.imageset import ImageSet

REAL = DATA | {"collect_images", "draw_images"}
COUNT = 60


def study_of(place: Path, folder: Path | None = None) -> dict:
    """A study of the images in *place*, or in another *folder*."""
    return {
        "parameters": str(place / "weights"),
        "sources": {"phantom_ultrasound": {"phantoms": {"benign": 20, "malignant": 12}}},
        "databases": ["phantom_ultrasound"],
        "partition": {"folds": 3},
        "generators": {
            "sngan": {"width": 4, "steps": 3, "evaluate_every": 0},
            "theirs": {
                "method": "images",
                "root": str(folder or place / "images"),
                "benign": "benign",
                "malignant": "malignant",
            },
        },
        "gans": ["sngan", "theirs"],
        "mixes": ["real", "real+sngan", "real+theirs"],
        "classifiers": {"resnet18": {"steps": 3, "batch": 8, "evaluate_every": 2}},
        "statistics": {"resamples": 100},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with images, the workflow, and a study of them that ran to its end."""
    place = tmp_path_factory.mktemp("elsewhere")
    for label, seed in (("benign", 1), ("malignant", 2)):
        put(place / "images" / label, textures(COUNT, seed))
    (place / "weights").mkdir()
    for name in ("niqe", "brisque", "efficientnet_lite0", "squeezenet"):
        shutil.copy2(parameter_file(name), place / "weights" / DECLARATIONS[name]["file"])
    hollow(place / "workflow", REAL)
    run = snakemake(place / "workflow/Snakefile", place / "study", study_of(place))
    assert {"collect_images", "draw_images", "find_leaks", "train_gan"} <= rules_run(run)
    return place


def made(place: Path, pattern: str) -> set[str]:
    return {str(file.relative_to(place / "study")) for file in (place / "study").glob(pattern)}


def test_its_images_go_where_a_gans_do_and_no_generator_is_made_of_them(finished):
    assert made(finished, "results/*/*/gans/*") == {"results/ultrasound/fold0/gans/sngan"}
    where = finished / "study/results/ultrasound/fold0"
    drawn = ImageSet.load(where / "synthetic/theirs/seed0.npz")
    train = ImageSet.load(where / "train.npz")
    needed = max(len(train.of_class(label)) for label in ("benign", "malignant"))
    assert [len(drawn.of_class(label)) for label in ("benign", "malignant")] == [needed] * 2
    assert len(ImageSet.load(finished / "study/results/ultrasound/images/theirs.npz")) == 2 * COUNT
    assert (where / "quality/theirs/seed0_leaks.csv").exists()
    assert not (where / "quality/sngan/seed0_leaks.csv").exists()
    assert {"results/ultrasound/scorecards/theirs.html"} <= made(finished, "results/*/scorecards/*")


def test_a_folder_that_is_what_it_was_reruns_nothing_after_it_and_another_image_what_needs_it(finished, tmp_path):
    place = tmp_path / "place"
    shutil.copytree(finished, place)
    # the workflow stays where it is, as digests of its code are of its place
    snakefile, images = finished / "workflow/Snakefile", finished / "images"
    study = study_of(finished)
    for file in (images / "benign").iterdir():
        os.utime(file)
    (images / ".DS_Store").write_bytes(b"Finder")
    run = rules_run(snakemake(snakefile, place / "study", study))
    assert "collect_images" in run
    assert not run & (AFTER | {"draw_images", "find_leaks"})
    shutil.copy2(images / "benign/000.png", images / "benign/001.png")
    plan = snakemake(snakefile, place / "study", study)
    assert rules_run(plan) & (AFTER | {"find_leaks"}) == {"describe", "find_leaks", "assess", "train_classifier"}
    assert "output: results/ultrasound/fold0/quality/theirs/seed0_images.csv" in plan
    assert "output: results/ultrasound/fold0/quality/sngan/seed0_images.csv" not in plan
    assert "classifiers/resnet18/real+theirs/seed0.pt" in plan
    assert "output: results/ultrasound/fold0/classifiers/resnet18/real+sngan/seed0.pt" not in plan


@pytest.mark.parametrize(
    ("gans", "fault", "message"),
    [
        (["sngan", "theirs"], "few", "theirs has 60 benign and 4 malignant images, and"),
        (["theirs"], "cut", "benign/003.png cannot be read as an image"),
    ],
)
def test_what_cannot_be_used_is_told_before_any_training(gans, fault, message, finished, tmp_path):
    shutil.copytree(finished / "images", tmp_path / "images")
    if fault == "few":
        for file in sorted((tmp_path / "images/malignant").iterdir())[4:]:
            file.unlink()
    else:
        (tmp_path / "images/benign/003.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    study = changed(study_of(finished, tmp_path / "images"), gans=gans, mixes=["real", "real+theirs"])
    (tmp_path / "study").mkdir()
    run = workflow_for_tests.snakemake(tmp_path / "study", study=study, house=finished / "workflow")
    assert run.returncode != 0
    assert message in run.stdout
    assert not rules_run(run.stdout) & AFTER
