"""Data, files and code that are what they were rerun no training; those that are not rerun what needs them."""

import os
import shutil
from pathlib import Path

import pytest
import workflow_for_tests
from hollow_workflow import AFTER, DATA, GIVEN, OUTSIDE, changed, give, hollow, results, rules_run, snakemake, study_of
from quality_for_tests import DECLARATIONS, parameter_file


def test_results_follow_code_and_not_its_words(tmp_path):
    give(tmp_path)
    snakefile, folder = hollow(tmp_path / "workflow", set()), tmp_path / "finished"
    package = snakefile.parent / "mammosynth"
    snakemake(snakefile, folder, study_of(tmp_path))

    def change(file: str, before: str, after: str) -> None:
        text = (package / file).read_text(encoding="utf-8")
        assert before in text
        (package / file).write_text(text.replace(before, after, 1), encoding="utf-8")

    change("gans/training.py", '"""', '"""Said otherwise: ')
    change("rois.py", "\n\n\n", "\n\n\n# a comment\n\n\n")
    (snakefile.parent / "workflow/report/samples.rst").write_text("Said otherwise.\n", encoding="utf-8")
    assert rules_run(snakemake(snakefile, folder, study_of(tmp_path))) == {"write_report", "all"}
    change("quality/assess.py", "\n\n\n", "\n\nMORE = 1\n\n\n")
    run = rules_run(snakemake(snakefile, folder, study_of(tmp_path)))
    assert run & AFTER == {"assess"}
    resampled = changed(study_of(tmp_path), statistics={"resamples": 200})
    assert rules_run(snakemake(snakefile, folder, resampled, "--dry-run")) & AFTER == {"assess"}
    change("quality/describe.py", "\n\n\n", "\n\nMORE = 1\n\n\n")
    plan = rules_run(snakemake(snakefile, folder, study_of(tmp_path), "--dry-run"))
    assert plan & AFTER == {"describe", "describe_real", "assess"}
    change("networks/squeezenet.py", "\n\n\n", "\n\nMORE = 1\n\n\n")
    plan = snakemake(snakefile, folder, study_of(tmp_path), "--dry-run")
    assert "rule describe_real:" in plan
    assert "output: results/ultrasound/fold0/gans/projected_gan/seed0.pt" in plan  # whose steps it chooses
    assert "output: results/ultrasound/fold0/gans/cyclegan/seed0.pt" not in plan
    snakemake(snakefile, folder, study_of(tmp_path))
    change("gans/cyclegan.py", "\n\n\n", "\n\nMORE = 1\n\n\n")
    plan = snakemake(snakefile, folder, study_of(tmp_path), "--dry-run")
    assert "gans/cyclegan/seed0.pt" in plan
    assert "output: results/ultrasound/fold0/gans/projected_gan/seed0.pt" not in plan
    snakemake(snakefile, folder, study_of(tmp_path), "--touch")  # what was trained is to stay
    assert "Nothing to be done" in snakemake(snakefile, folder, study_of(tmp_path))


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


def test_data_that_are_what_they_were_rerun_no_training(with_data):
    raw, before = with_data / "raw", results(with_data / "finished")
    (raw / ".DS_Store").write_bytes(b"Finder")
    (raw / "notes.txt").write_text("to be looked at")
    (raw / "empty").mkdir()
    for file in (next(raw.rglob("malignant (2).png")), *(with_data / name for name in GIVEN)):
        os.utime(file)
    output = snakemake(with_data / "workflow/Snakefile", with_data / "finished", data_study(with_data))
    assert not rules_run(output) & AFTER, output
    assert before == results(with_data / "finished")


def test_parameter_files_that_lie_elsewhere_rerun_nothing_but_what_shows_the_config(with_data, tmp_path):
    moved = changed(data_study(with_data), parameters=str(tmp_path / "other"))
    shutil.copytree(with_data / "weights", tmp_path / "other")
    output = snakemake(with_data / "workflow/Snakefile", with_data / "finished", moved)
    assert rules_run(output) <= {"write_report", "all"}


def test_an_external_database_that_comes_and_goes_is_read_and_predicted_and_reruns_no_training(with_data, tmp_path):
    folder = tmp_path / "finished"
    shutil.copytree(with_data / "finished", folder)
    snakefile, study = with_data / "workflow/Snakefile", data_study(with_data)
    for external, expected in ((OUTSIDE, {"set_external_apart", "predict_external"}), ({}, set())):
        run = rules_run(snakemake(snakefile, folder, changed(study, **external)))
        assert not run & AFTER
        assert run & {"set_external_apart", "predict_external"} == expected
        assert {"partition", "score_classifiers", "write_report"} <= run


@pytest.mark.parametrize("file", ["results/parameters/squeezenet", "results/ultrasound/fold0/train.npz"])
def test_a_file_that_trainings_wait_for_is_refused_once_it_is_cut_short(file, with_data):
    folder = with_data / "finished"
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2])
    house = with_data / "workflow"
    run = workflow_for_tests.snakemake(folder, study=data_study(with_data), house=house)
    assert run.returncode != 0
    assert f"{file} is not what was written there" in run.stdout
    assert not rules_run(run.stdout) & AFTER
    (folder / file).unlink()
    study = data_study(with_data)
    assert not rules_run(snakemake(with_data / "workflow/Snakefile", folder, study)) & AFTER
    later = changed(study, generators={"cyclegan": {"learning_rate": 0.001}})
    assert "train_gan" in rules_run(snakemake(with_data / "workflow/Snakefile", folder, later))
    assert (folder / file).read_bytes() == whole
    snakemake(with_data / "workflow/Snakefile", folder, study)
