"""A study of a reader, a GAN, a feature network, measures and a classifier of the user's own, each a file and an entry.

Nothing of the workflow is replaced, and nothing else edited. What a study may set of them, and how it is refused, is in
the other tests of additions.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest
from additions_for_tests import ENTRIES, FILES, WEIGHT, workflow_with
from databases_for_tests import picture, save
from hollow_workflow import rules_run
from workflow_for_tests import snakemake

from mammosynth.imageset import ImageSet

STUDY = {
    "databases": ["mine"],
    "partition": {"folds": 3},
    "generators": {
        "blocks": {
            "method": "blocks",
            "width": 4,
            "steps": 2,
            "batch": 2,
            "learning_rate": 0.001,
            "evaluate_every": 1,
            "contrast": 0.25,
        }
    },
    "gans": ["blocks"],
    "mixes": ["real", "real+blocks"],
    "classifiers": {"centroids": {"method": "centroids", "sharpness": 3}},
    "classify_with": ["centroids"],
    "quality": {"extractors": ["means"]},
    "statistics": {"resamples": 100},
}
SHIFT, BRIGHTNESS, DIFFERENCE = "shift (means of 16×16 px)", "brightness", "difference"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the workflow, to which one of each kind was added, and a study of them that ran to its end."""
    place = tmp_path_factory.mktemp("additions")
    workflow_with(place / "workflow", FILES, ENTRIES)
    for number in range(28):
        label = "benign" if number < 16 else "malignant"
        save(picture(number, 60, 30 if number in (0, 27) else 80), place / f"raw/P{number:02}-{label}.png")
    (place / "weights").mkdir()
    (place / "weights/means.txt").write_bytes(WEIGHT)
    run = call(place)
    assert run.returncode == 0, run.stdout
    return place


def call(place, *options, **changes):
    mine = {"reader": "toy", "modality": "ultrasound", "root": str(place / "raw"), "narrowest": 40}
    study = STUDY | {"sources": {"mine": mine}, "parameters": str(place / "weights")} | changes
    return snakemake(place, *options, study=study, house=place / "workflow", PYTHONPATH="")


def text_of(place, name: str) -> str:
    return " ".join((place / "results" / name).read_text(encoding="utf-8").split())


def test_the_readers_lesions_are_the_studys(place):
    rois = pd.read_csv(place / "results/ultrasound/rois.csv", keep_default_na=False)
    assert set(rois["database"]) == {"mine"}
    assert rois["pathology"].value_counts().to_dict() == {"benign": 16, "malignant": 12}
    assert rois.loc[rois["excluded"] != "", ["lesion_id", "excluded"]].to_numpy().tolist() == [
        ["mine/P00-benign", "too narrow"],
        ["mine/P27-malignant", "too narrow"],
    ]
    card = text_of(place, "ultrasound/curation/data_card.html")
    for declared in ("A toy database", "Nobody, nowhere", "free of terms"):
        assert declared in card


def test_the_gan_makes_the_images_and_the_network_chose_its_step(place):
    synthetic = ImageSet.load(place / "results/ultrasound/fold0/synthetic/blocks/seed0.npz").images
    blocks = synthetic.reshape(-1, 8, 16, 8, 16)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    assert np.abs(synthetic.astype(int) - 128).max() <= 0.25 * 128  # its own setting, and not the default
    assert "kd" in pd.read_csv(place / "results/ultrasound/fold0/gans/blocks/seed0.csv")


def test_the_measures_are_in_rows_tables_ranks_and_on_the_scorecard(place):
    rows = pd.read_csv(place / "results/tables/quality.csv")
    pooled = rows[rows["pathology"] == "all"].set_index(["measure", "generator"])["value"]
    assert {name: set(pooled[name].index) for name in (SHIFT, BRIGHTNESS, DIFFERENCE)} == {
        SHIFT: {"blocks", "floor"},
        BRIGHTNESS: {"blocks", "real", "held_out"},
        DIFFERENCE: {"blocks", "real"},
    }
    train, synthetic = (
        ImageSet.load(place / f"results/ultrasound/fold0/{name}.npz") for name in ("train", "synthetic/blocks/seed0")
    )
    assert pooled[BRIGHTNESS, "real"] == pytest.approx(train.images.mean() + train.labels.mean())
    kept = pd.read_csv(place / "results/ultrasound/fold0/quality/blocks/seed0_images.csv")
    expected = dict(zip(synthetic.ids, synthetic.images.mean((1, 2)) + synthetic.labels))
    assert kept["brightness"].to_numpy() == pytest.approx([expected[name] for name in kept["id"]])
    table = pd.read_csv(place / "results/tables/table_quality.csv", dtype=str)
    assert {f"{SHIFT} ↓", f"{DIFFERENCE} ↑", BRIGHTNESS} <= set(table["measure"])
    ranks = pd.read_csv(place / "results/tables/ranks.csv").drop_duplicates("measure").set_index("measure")["criterion"]
    assert ranks[[SHIFT, BRIGHTNESS, DIFFERENCE]].tolist() == ["lowest", "nearest to the real set", "highest"]
    card = json.loads((place / "results/ultrasound/scorecards/blocks.json").read_text(encoding="utf-8"))
    measures = {row["measure"]: (row["aspect"], row["better"]) for row in card["measures"]}
    assert measures[SHIFT] == ("images", "lower")
    assert measures[BRIGHTNESS] == ("novelty", None)
    assert measures[DIFFERENCE] == ("images", "higher")


def test_the_classifier_is_trained_tested_and_scored(place):
    scores = pd.read_csv(place / "results/tables/scores.csv")
    assert set(scores["classifier"]) == {"centroids"}
    assert set(scores["mix"]) == {"real", "real+blocks"}
    aurocs = scores[(scores["measure"] == "AUROC") & (scores["database"].isin(["", "all"]) | scores["database"].isna())]
    test = ImageSet.load(place / "results/ultrasound/fold0/test.npz")
    assert set(aurocs["n"]) == {len(test)}
    assert aurocs["value"].between(0, 1).all()


def test_the_figure_and_the_page_call_each_by_its_title(place):
    page = text_of(place, "report/report.html")
    for title in ("Block GAN", "Nearer centroid", SHIFT, BRIGHTNESS, DIFFERENCE):
        assert title in page
    for explanation in ("how means differ", "how bright images are", "how far pixels differ"):
        assert explanation in page
    assert "real + Block GAN" in page
    drawn = text_of(place, "figures/quality_ultrasound.svg")
    assert re.findall(r"<!-- (shift|difference|brightness)", drawn) == ["shift", "difference"]


def test_another_setting_of_the_classifiers_own_trains_it_again(place):
    targets = [f"results/ultrasound/fold0/predictions/centroids/{mix}/seed0.csv" for mix in STUDY["mixes"]]
    assert "Nothing to be done" in call(place, "--dry-run", *targets).stdout
    softer = {"centroids": {"method": "centroids", "sharpness": 2}}
    assert rules_run(call(place, "--dry-run", *targets, classifiers=softer).stdout) == {"train_classifier"}
