"""The command line: it teaches, begins quickly, and says what is wrong in a line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from gans_for_tests import few_reals, paths, settings
from PIL import Image
from quality_for_tests import image_set
from test_imports import imported_by
from workflow_for_tests import ROOT, snakemake

from mammosynth import exchange
from mammosynth.commands import main
from mammosynth.gans.training import train
from mammosynth.imageset import ImageSet

COMMANDS = sorted(main.commands)


def call(*words, **more):
    return CliRunner().invoke(main, [str(word) for word in words], **more)


def test_help_needs_neither_torch_nor_what_else_takes_long():
    code = "from mammosynth.commands import main\nmain(['assess', '--help'], standalone_mode=False)"
    assert not imported_by(code) & {"torch", "numpy", "pandas", "scipy", "matplotlib", "yaml"}
    assert "torch" not in imported_by("import mammosynth")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_an_example(name):
    said = call(name, "--help").output
    assert f"  mammosynth {name} " in said.partition("Example")[2]
    assert name in call("--help").output


def test_it_is_called_as_a_module_and_an_error_is_one_line_without_a_traceback(tmp_path):
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "mammosynth", "assess", tmp_path / "empty", tmp_path / "empty"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith(f"Error: {tmp_path / 'empty'} holds no images")
    assert run.stderr.count("\n") == 1


def test_export_writes_a_set_or_the_parts_of_a_split(tmp_path):
    parts = {name: image_set(3, 2, seed, per_patient=1) for seed, name in enumerate(("train", "val", "test"))}
    for name, images in parts.items():
        images.save(tmp_path / f"{name}.npz")
    assert "3 benign, 2 malignant" in call("export", tmp_path / "val.npz", tmp_path / "pngs").output
    assert len(list((tmp_path / "pngs/malignant").glob("*.png"))) == 2
    assert call("export", tmp_path, tmp_path / "all/parts.npz").exit_code == 0
    with np.load(tmp_path / "all/parts.npz") as file:
        for name, images in parts.items():
            assert np.array_equal(file[f"{name}_images"], images.images)
            assert np.array_equal(file[f"{name}_labels"][:, 0], images.labels)
    assert call("export", tmp_path, tmp_path / "folders").exit_code == 0
    assert np.array_equal(exchange.read(tmp_path / "folders/test").images.ids, parts["test"].ids)
    (tmp_path / "val.npz").unlink()
    assert "val.npz does not exist" in call("export", tmp_path, tmp_path / "again").stderr


@pytest.fixture(scope="module")
def generators(tmp_path_factory):
    """By method, a generator's file."""
    made = {}
    for method in ("sngan", "cyclegan"):
        folder = tmp_path_factory.mktemp(method)
        train(few_reals(), settings(method), 0, **paths(folder))
        made[method] = folder / "g.pt"
    return made


def test_synthesise_makes_what_the_generator_makes(generators, tmp_path):
    from mammosynth.gans.training import load_generator

    words = ("synthesise", generators["sngan"], tmp_path / "out", "--class", "malignant", "-n", 3, "--seed", 5)
    assert "3 malignant, synthetic" in call(*words).output
    expected = load_generator(generators["sngan"]).synthesise(3, few_reals(), 5).of_class("malignant")
    found = exchange.read(tmp_path / "out")
    assert np.array_equal(found.images.images, expected.images)
    table = pd.read_csv(tmp_path / "out/images.csv")
    assert table["pathology"].tolist() == ["malignant"] * 3
    with Image.open(tmp_path / "out" / table["file"][0]) as image:
        assert image.mode == "L"
    assert "is there already" in call(*words).stderr


def test_a_generator_that_translates_needs_real_images(generators, tmp_path):
    words = ("synthesise", generators["cyclegan"], tmp_path / "out", "-n", 2)
    assert "name its training part by --real" in call(*words).stderr
    few_reals().save(tmp_path / "train.npz")
    assert call(*words, "--real", tmp_path / "train.npz").exit_code == 0
    assert pd.read_csv(tmp_path / "out/images.csv")["source"].notna().all()


def test_synthesise_runs_no_code_of_a_foreign_file(tmp_path):
    (tmp_path / "g.pt").write_bytes(b"no generator")
    said = call("synthesise", tmp_path / "g.pt", tmp_path / "out")
    assert said.exit_code == 1
    assert "is not a generator of mammosynth" in said.stderr


def database(folder: Path) -> Path:
    """A folder of images with their table: 30 lesions of 15 patients, one of them without a size to speak of."""
    images, rows = image_set(16, 14, seed=4), []
    (folder / "scans").mkdir(parents=True)
    for i, (image, label) in enumerate(zip(images.images, images.labels)):
        Image.fromarray(image).save(folder / f"scans/{i}.png")
        box = (60, 60, 64, 64) if i == 0 else (30, 30, 90, 90)
        rows.append((f"scans/{i}.png", *box, ("benign", "malignant")[label], f"P{i // 2:02d}"))
    columns = ["image", "x0", "y0", "x1", "y1", "pathology", "patient"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "lesions.csv", index=False)
    return folder


@pytest.mark.parametrize("gpu", ["--gpu", "--no-gpu"])
def test_init_writes_a_study_that_dry_runs(gpu, tmp_path):
    root = database(tmp_path / "data: mine")
    said = call("init", tmp_path / "study", "--root", root, "--reader", "table", "--modality", "ultrasound", gpu)
    assert said.exit_code == 0, said.output
    study = tmp_path / "study/study.yaml"
    text = study.read_text()
    assert yaml.safe_load(text)["sources"]["mine"]["root"] == str(root)
    assert text.count("\n#") >= 4
    run = snakemake(tmp_path / "study", "-n", "--configfile", study)
    assert run.returncode == 0, run.stdout
    assert "train_gan" in run.stdout
    again = call("init", tmp_path / "study", "--root", root, "--reader", "table", "--modality", "ultrasound", gpu)
    assert "is there already" in again.stderr
    wrong = call("init", tmp_path / "other", "--root", root, "--reader", "tabel", "--modality", "ultrasound", gpu)
    assert "tabel is not one of" in wrong.stderr


def test_init_of_a_public_database_keeps_what_config_says_of_it(tmp_path):
    (tmp_path / "data").mkdir()
    said = call("init", tmp_path / "study", "--root", tmp_path / "data", "--reader", "busi", "--no-gpu")
    assert said.exit_code == 0, said.output
    study = yaml.safe_load((tmp_path / "study/study.yaml").read_text())
    assert study["sources"] == {"busi": {"root": str(tmp_path / "data")}}  # laid over its entry, exclusions and all
    assert study["databases"] == ["busi"]
    other = ("--root", tmp_path / "data", "--reader", "mini_mias", "--modality", "ultrasound", "--no-gpu")
    assert "mini_mias is of mammography" in call("init", tmp_path / "other", *other).stderr


def test_init_asks_for_what_is_not_given(tmp_path):
    root = database(tmp_path / "data")
    said = call("init", tmp_path / "study", input=f"{root}\nrois\ny\nmammography\n")
    assert said.exit_code == 0, said.output
    study = yaml.safe_load((tmp_path / "study/study.yaml").read_text())
    assert study["sources"]["mine"] == {
        "reader": "rois", "modality": "mammography", "root": str(root), "benign": "benign", "malignant": "malignant",
    }  # fmt: skip
    assert "cyclegan" in study["gans"]


def test_check_counts_and_trains_nothing(tmp_path):
    root = database(tmp_path / "data")
    call("init", tmp_path / "s", "--root", root, "--reader", "table", "--modality", "ultrasound", "--no-gpu")
    study = tmp_path / "s/study.yaml"
    said = call("check", study)
    assert said.exit_code == 0, said.output
    assert "ultrasound: 30 lesions, 29 used (15 benign, 14 malignant; 15 patients)" in said.output
    assert "excluded 1: ROI side below 16 source pixels" in said.output
    assert "fold0, test: " in said.output
    assert (tmp_path / "s/results/ultrasound/contact_sheet.png").is_file()
    assert (tmp_path / "s/results/ultrasound/curation/data_card.html").is_file()
    assert not list((tmp_path / "s/results").rglob("*.pt"))

    (root / "scans/3.png").write_text("no image")
    said = call("check", study)
    assert said.exit_code == 1
    assert "3.png cannot be read" in said.stderr
    assert "Traceback" not in said.stderr
    study.write_text(study.read_text().replace("folds: [0]", "fold: [0]"))
    said = call("check", study)
    assert said.exit_code == 1
    assert "fold" in said.stderr
    study.write_text("databases: [nobody]")
    assert "names a database that no source is called" in call("check", study).stderr


def test_the_installed_package_has_all_that_the_workflow_reads():
    """What setuptools puts beside it; the folders are those that a copy of the workflow takes in other tests."""
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    taken = {
        path.relative_to(ROOT).as_posix() for globs in declared.values() for glob in globs for path in ROOT.glob(glob)
    }
    names = ("Snakefile", "config.yaml", "workflow", "resources", "profiles", "envs", "studies")
    files = subprocess.run(["git", "ls-files", *names], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(files.split()) <= taken
    for folder, globs in declared.items():
        assert {Path("share/mammosynth", glob).parent for glob in globs} == {Path(folder)}


def test_assess_says_what_the_page_and_the_file_hold(tmp_path, monkeypatch):
    import test_assessment

    from mammosynth import parameters
    from mammosynth.networks import NETWORKS, Network
    from mammosynth.quality import measures

    (tmp_path / "weights").write_text("")
    for name in ("toy", "efficientnet_lite0"):
        monkeypatch.setitem(NETWORKS, name, Network(name, 128, {}, test_assessment.__name__))
    monkeypatch.setattr(measures, "MEASURES", [m for m in measures.MEASURES if "naturalness" not in m.function])
    monkeypatch.setattr(parameters, "cache", lambda: tmp_path)
    monkeypatch.setattr(parameters, "cached", lambda name, declaration: tmp_path / "weights")
    sets = {"real": image_set(20, 16, 1, 2), "synthetic": image_set(12, 10, 2)}
    for name, images in sets.items():
        exchange.write_folder(images, tmp_path / name)
    said = call("assess", *(tmp_path / name for name in sets), "--network", "toy", "--out", tmp_path / "out")
    assert said.exit_code == 0, said.output
    card = json.loads((tmp_path / "out/scorecard.json").read_text())
    assert all(sentence in said.output for sentence in card["findings"])
    assert "FD (toy) ↓" in said.stdout
    assert "Note: No held-out real images were given" in said.stderr
    assert (
        "there is no feature network nothing"
        in call("assess", *(tmp_path / n for n in sets), "--network", "nothing").stderr
    )


def test_images_of_an_npz_are_taken_as_they_are(tmp_path):
    images = ImageSet(np.zeros((2, 8, 8)), [0, 1], ["a", "b"])
    images.save(tmp_path / "x.npz")
    said = call("assess", tmp_path / "x.npz", tmp_path / "x.npz")
    assert said.exit_code == 1
    assert "8×8 px are too small" in said.stderr
