"""A study of several folds, seeds and GANs, with a filter: each row and picture is of the run that it names."""

import json
import re
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from workflow_for_tests import snakemake

from mammosynth.arrays.statistics import youden_threshold
from mammosynth.classifiers.mixes import assemble, parse_mix
from mammosynth.classifiers.training import read
from mammosynth.digests import sha256_of
from mammosynth.findings.names import name_of
from mammosynth.gans.training import load_generator
from mammosynth.gans.transfer import read_generator
from mammosynth.imageset import ImageSet
from mammosynth.partition import count_parts
from mammosynth.report.embedded import PAIRED_WIDTH, data_uri

CPU = torch.device("cpu")
FOLDS, SEEDS, GANS, MIXES = [2, 0], [1, 0], ["sngan", "cyclegan"], ["real", "real+cyclegan@0.5", "sngan"]
CLASSIFIERS = ["shorter", "resnet18"]
STUDY = {
    "sources": {"phantom_mammography": {"phantoms": {"benign": 24, "malignant": 15}}},
    "databases": ["phantom_mammography"],
    "partition": {"folds": 3},
    "folds": FOLDS,  # in an order that no sorting makes
    "seeds": SEEDS,
    "generators": {
        "cyclegan": {"width": 4, "steps": 3, "evaluate_every": 0},
        "sngan": {"width": 4, "steps": 3, "batch": 4, "evaluate_every": 0},
    },
    "gans": GANS,
    "mixes": MIXES,
    "classifiers": {
        "resnet18": {"steps": 2, "batch": 8, "evaluate_every": 2},
        "shorter": {"method": "resnet18", "steps": 1, "batch": 6},
    },
    "classify_with": CLASSIFIERS,
    "quality": {
        "extractors": ["squeezenet"],
        "on_memorising": "stop",
        "filter": {"copies": True, "oversample": 2},
    },
    "statistics": {"resamples": 100},
}
RUNS = list(product(FOLDS, SEEDS))
OF_GANS = list(product(FOLDS, GANS, SEEDS))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """The folder of such a study that ran to its report."""
    folder = tmp_path_factory.mktemp("several")
    run = snakemake(folder, study=STUDY)
    assert run.returncode == 0, run.stdout
    return folder / "results"


@pytest.fixture(scope="module")
def parts(study) -> dict[tuple[int, str], ImageSet]:
    folder = study / "mammography"
    return {
        (f, part): ImageSet.load(folder / f"fold{f}/{part}.npz") for f in FOLDS for part in ("train", "val", "test")
    }


def of_run(study: Path, fold: int, kind: str, name: str, seed: int, suffix: str) -> Path:
    return study / f"mammography/fold{fold}/{kind}/{name}/seed{seed}{suffix}"


def test_folds_have_test_parts_of_their_own(parts):
    assert not set(parts[2, "test"].ids) & set(parts[0, "test"].ids)


@pytest.mark.parametrize(("fold", "gan", "seed"), OF_GANS)
def test_a_generator_is_of_its_fold_gan_and_seed(study, parts, fold, gan, seed):
    content = read_generator(of_run(study, fold, "gans", gan, seed, ".pt"))
    assert content["ids"] == parts[fold, "train"].ids.tolist()
    assert (content["settings"]["method"], content["seed"]) == (gan, seed)


@pytest.mark.parametrize(("fold", "gan", "seed"), OF_GANS)
def test_synthetic_images_are_of_their_generator_and_the_filtered_ones_are_among_them(study, parts, fold, gan, seed):
    synthetic = ImageSet.load(of_run(study, fold, "synthetic", gan, seed, ".npz"))
    made = load_generator(of_run(study, fold, "gans", gan, seed, ".pt")).synthesise(
        (synthetic.labels == 0).sum(), parts[fold, "train"], seed
    )
    np.testing.assert_array_equal(made.images, synthetic.images)
    kept = ImageSet.load(of_run(study, fold, "filtered", gan, seed, ".npz"))
    outcomes = pd.read_csv(of_run(study, fold, "filtered", gan, seed, ".csv"), keep_default_na=False)
    assert (*outcomes["split"].unique(), *outcomes["generator"].unique(), *outcomes["seed"].unique()) == (
        f"fold{fold}",
        gan,
        seed,
    )
    where = {name: i for i, name in enumerate(synthetic.ids)}
    np.testing.assert_array_equal(kept.images, synthetic.images[[where[name] for name in kept.ids]])
    assert set(kept.ids) == set(outcomes.loc[outcomes["dropped"] == "", "id"])


@pytest.mark.parametrize(("fold", "gan", "seed"), OF_GANS)
def test_quality_rows_are_of_the_run_that_they_name(study, parts, fold, gan, seed):
    pooled = pd.read_csv(study / "tables/quality.csv")
    pooled = pooled[(pooled["fold"] == fold) & (pooled["generator"] == gan) & (pooled["seed"] == seed)]
    own = pd.read_csv(of_run(study, fold, "quality", gan, seed, ".csv"))
    pd.testing.assert_frame_equal(
        pooled.reset_index(drop=True)[own.columns], own, check_dtype=False, check_categorical=False
    )
    images = pd.read_csv(of_run(study, fold, "quality", gan, seed, "_images.csv"))
    assert (*images["split"].unique(), *images["generator"].unique(), *images["seed"].unique()) == (
        f"fold{fold}",
        gan,
        seed,
    )
    synthetic = ImageSet.load(of_run(study, fold, "synthetic", gan, seed, ".npz"))
    assert set(images["id"]) <= set(synthetic.ids)
    for nearest in (images["nearest_by_features"], images["nearest_by_correlation"]):
        assert set(nearest) <= set(parts[fold, "train"].ids)


@pytest.mark.parametrize(("fold", "name"), list(product(FOLDS, CLASSIFIERS)))
def test_predictions_are_those_of_the_classifier_that_they_name_on_its_folds_parts(study, parts, fold, name):
    for mix, seed in product(MIXES, SEEDS):
        classifier = read(of_run(study, fold, f"classifiers/{name}", mix, seed, ".pt"), CPU)
        assert (classifier.settings["batch"], classifier.step) == {"shorter": (6, 1), "resnet18": (8, 2)}[name]
        predictions = pd.read_csv(of_run(study, fold, f"predictions/{name}", mix, seed, ".csv"))
        where = {"split": f"fold{fold}", "classifier": name, "mix": mix, "seed": seed}
        assert (predictions[list(where)] == where).all(axis=None)
        for part in ("val", "test"):
            images = parts[fold, part]
            own = predictions[predictions["part"] == part].set_index("lesion_id")
            assert sorted(own.index) == sorted(images.ids)
            np.testing.assert_allclose(
                own.loc[images.ids, "probability"], classifier.probabilities(images.images), rtol=1e-5
            )


@pytest.mark.parametrize(("fold", "seed"), RUNS)
def test_a_hybrids_classifier_saw_the_filtered_images_of_its_own_run(study, parts, fold, seed):
    mix = parse_mix("real+cyclegan@0.5", GANS)
    filtered = ImageSet.load(of_run(study, fold, "filtered", "cyclegan", seed, ".npz"))
    [training] = assemble(mix, parts[fold, "train"], {"cyclegan": filtered}, seed)
    saved = torch.load(of_run(study, fold, "classifiers/resnet18", mix.name, seed, ".pt"), weights_only=True)
    assert saved["images"] == len(training)
    assert (saved["state"]["mean"], saved["state"]["sd"]) == pytest.approx(
        (training.images.mean() / 255, training.images.std() / 255), rel=1e-6
    )


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_scores_follow_from_the_predictions_of_all_runs(study, classifier):
    scores = pd.read_csv(study / "tables/scores.csv")
    scores, rows = scores[scores["classifier"] == classifier], []
    for fold, mix, seed in product(FOLDS, MIXES, SEEDS):
        frame = pd.read_csv(of_run(study, fold, f"predictions/{classifier}", mix, seed, ".csv"))
        validation, test = (frame[frame["part"] == part] for part in ("val", "test"))
        threshold = youden_threshold(validation["pathology"] == "malignant", validation["probability"])
        called = test["probability"] >= threshold
        rows.append(test.assign(fold=fold, hit=called == (test["pathology"] == "malignant")))
    called = pd.concat(rows)
    for mix in MIXES:
        own = called[(called["mix"] == mix) & (called["pathology"] == "malignant")]
        expected = own.groupby(["fold", "seed"])["hit"].mean().mean()
        score = scores[(scores["mix"] == mix) & (scores["measure"] == "malignant accuracy")]
        score = score[score["threshold"] == "Youden"]
        score = score[score["database"].isin(["all"]) | score["database"].isna()] if "database" in score else score
        assert score["value"].iloc[0] == pytest.approx(expected)


def test_parts_are_counted_from_their_own_folds(study):
    counted = pd.read_csv(study / "tables/parts.csv")
    for fold in FOLDS:
        own = pd.read_csv(study / f"mammography/fold{fold}/partition.csv", dtype=str)
        expected = count_parts(own)
        found = counted[counted["split"] == f"fold{fold}"].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected.reset_index(drop=True), check_dtype=False)


@pytest.mark.parametrize("gan", GANS)
def test_a_scorecard_lists_the_runs_of_its_gan_with_their_files(study, parts, gan):
    card = json.loads((study / f"mammography/scorecards/{gan}.json").read_text())
    runs = card["making"]["runs"]
    assert {(run["fold"], run["seed"]) for run in runs} == set(RUNS)
    for run in runs:
        file = of_run(study, run["fold"], "gans", gan, run["seed"], ".pt")
        assert run["sha256"] == sha256_of(file)
        assert sum(run["rois"].values()) == len(parts[run["fold"], "train"])


def test_pictures_of_the_report_are_those_of_the_gan_that_they_name(study):
    page = (study / "report/report.html").read_text()
    figures = re.findall(r'<img src="(data:image/[^"]+)" alt="([^"]*)"', page)
    for gan in GANS:
        shown = [content for content, alt in figures if alt.startswith(f"Mammography, {name_of(gan)}. ")]
        files = of_run(study, FOLDS[0], "gans", gan, SEEDS[0], ".png"), study / f"figures/closest_mammography_{gan}.png"
        assert {data_uri(file, PAIRED_WIDTH) for file in files} <= set(shown)
        other = next(name for name in GANS if name != gan)
        assert data_uri(of_run(study, FOLDS[0], "gans", other, SEEDS[0], ".png"), PAIRED_WIDTH) not in shown


def test_figures_of_the_report_are_those_of_the_classifier_that_they_name(study):
    page = (study / "report/report.html").read_text()
    figures = re.findall(r'<img src="(data:image/[^"]+)" alt="([^"]*)"', page)
    for name in CLASSIFIERS:
        drawn = [file for file in (study / "figures").glob(f"*_{name}.*") if file.suffix != ".pdf"]
        files = {file.stem.removesuffix(f"_mammography_{name}"): file for file in drawn}
        assert set(files) == {
            "classifier_training", "differences", "roc", "gains", "reliability", "confusion", "misses",
        }  # fmt: skip
        for file in files.values():
            [alt] = [alt for shown, alt in figures if shown == data_uri(file)]
            assert alt.startswith(f"Mammography, {name_of(name)}. ")


def test_the_report_answers_once_a_classifier(study):
    page = (study / "report/report.html").read_text()
    for name in CLASSIFIERS:
        assert len(re.findall(f"<strong>{name_of(name)}:</strong>", page)) == 1
        assert page.count(f"Trained on real ROIs alone, {name_of(name)} reaches an AUROC of") == 1
