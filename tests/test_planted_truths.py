"""Truths that were planted are found: a gain, a harm, nothing, a memoriser, and a dose that helps and then harms.

Through Snakemake, with nothing replaced: a GAN that makes what was planted is added, and judged as any other is.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from additions_for_tests import workflow_with
from PIL import Image
from planted_for_tests import COARSENESS, mass
from workflow_for_tests import snakemake

from mammosynth.findings import conclusions

ENTRY = """METHODS |= {
    "planted": Method(
        "mammosynth.gans.planted:Planted",
        "Planted",
        own={"truth": {"description": "what it makes", "enum": ["turning", "memoriser"], "default": "turning"}},
    )
}
"""
GAN = {"method": "planted", "width": 4, "steps": 1, "batch": 2, "learning_rate": 0.001, "evaluate_every": 0}
STUDY = {
    "databases": ["masses"],
    "partition": {"folds": 3},
    "folds": [0, 1, 2],
    "seeds": [0, 1],
    "generators": {name: GAN | {"truth": name} for name in ("turning", "memoriser")},
    "gans": ["turning", "memoriser"],
    "mixes": ["real", "real@2", "real+turning@2", "real+turning@5", "real+memoriser"],
    "classify_with": ["probe_squeezenet"],
    "quality": {"extractors": ["squeezenet"]},
    "statistics": {"resamples": 300},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The folder of a study of 300 masses: 100 to train on in each of three folds, and all of them tested once."""
    place = tmp_path_factory.mktemp("planted")
    gan = Path(__file__).with_name("planted_for_tests.py").read_text(encoding="utf-8")
    workflow_with(place / "workflow", {"gans/planted.py": gan}, {"gans/__init__.py": ENTRY})
    rng = np.random.default_rng(1)
    for label, coarseness in COARSENESS.items():
        (place / "raw" / label).mkdir(parents=True)
        for number in range(150):
            Image.fromarray(mass(coarseness, rng)).save(place / f"raw/{label}/{label[0]}{number:03}.png")
    masses = {"reader": "rois", "modality": "ultrasound", "root": str(place / "raw")}
    masses |= {"benign": "benign", "malignant": "malignant", "patient": "(.*)"}
    made = [f"results/ultrasound/scorecards/{gan}.json" for gan in STUDY["gans"]]
    study = STUDY | {"sources": {"masses": masses}}
    run = snakemake(place, "results/tables/scores.csv", *made, study=study, house=place / "workflow", PYTHONPATH="")
    assert run.returncode == 0, run.stdout
    return place


@pytest.fixture(scope="module")
def scores(place) -> pd.DataFrame:
    return pd.read_csv(place / "results/tables/scores.csv")


def of_mix(scores: pd.DataFrame, mix: str) -> pd.Series:
    own = scores[(scores["measure"] == "AUROC") & (scores["database"] == "all") & (scores["part"] == "test")]
    return own.set_index("mix").loc[mix]


@pytest.mark.parametrize(
    ("mix", "verdict"),
    [("real+turning@2", "better"), ("real+turning@5", "worse"), ("real@2", "no different")],
    ids=["a gain", "a harm, of the same GAN at a larger dose", "nothing"],
)
def test_it_is_found(mix, verdict, scores):
    assert conclusions.verdict(of_mix(scores, mix)) == verdict


def test_a_memoriser_is_marked_and_not_called_a_gain(place, scores):
    assert conclusions.verdict(of_mix(scores, "real+memoriser")) in ("no different", "cannot tell")
    marked = {
        gan: json.loads((place / f"results/ultrasound/scorecards/{gan}.json").read_text())["novelty"]["memorising"]
        for gan in STUDY["gans"]
    }
    assert marked == {"turning": False, "memoriser": True}


def test_the_answer_names_the_gain_and_the_harm(scores):
    headline, _ = conclusions.in_short("ultrasound", scores)
    assert "helped in 1 of 3 (most with real + turning ×2, +0." in headline
    assert "harmed in 1 of 3 (most with real + turning ×5, −0." in headline
