"""A quality measure of each kind is added by a file and a record, and nothing else is edited."""

import pytest
from additions_for_tests import package_with, said_by
from quality_for_tests import image_set
from test_additions_of_gans import DECLARATION, NETWORK

FUNCTIONS = '''
"""Measures of the user's own."""

import numpy as np


def shift(real, other):
    return float(np.abs(real.mean(0) - other.mean(0)).max())


def brightness(images, labels):
    return images.mean((1, 2)) + labels


def difference(x, y):
    return np.abs(x.astype(float) - y).mean((1, 2))
'''
RECORDS = """
MEASURES += [
    OfSets("shift", "mammosynth.quality.mine:shift", better="lower", reference=FLOOR, explanation="how means differ"),
    OfImages(
        "brightness", "mammosynth.quality.mine:brightness", better="nearest", explanation="how bright images are",
        aspect="novelty", unit="grey levels", drawn=False, reads=("images", "labels"),
    ),
    OfPairs(
        "difference", "mammosynth.quality.mine:difference", better="higher", explanation="how far pixels differ",
        others="random real",
    ),
]
"""
JUDGE = """
import json, sys
from pathlib import Path
import pandas as pd
from mammosynth.findings.ranks import rank_generators
from mammosynth.findings.tables import table_quality
from mammosynth.imageset import ImageSet
from mammosynth.quality import measures
from mammosynth.quality.assess import Described, assess, assess_real
from mammosynth.quality.describe import Describer
from mammosynth.quality.rows import tidy
from mammosynth.report import figures_of_gans, page, scorecard

kept = ("FD", "floor/FD")  # as many as take no time
measures.MEASURES[:] = [m for m in measures.MEASURES if m.name in kept or "mine" in m.function]
describer = Describer(["means"], {"means": Path("means.txt")}, lambda images: images.mean((1, 2)) / 255, "kept")
train, held_out, *made = (ImageSet.load(f"{name}.npz") for name in ("train", "held_out", "sngan", "cgan"))
table, reference = describer.real(train, held_out)
real = Described(train, table[table["generator"] == "real"], reference.features)
other = Described(held_out, table[table["generator"] == "held_out"])
rows, floor = assess_real(real, other, 100)
rows = [tidy(rows, "ultrasound", "fold0")]
for name, images in zip(("sngan", "cgan"), made):
    described = Described(images, *describer.synthetic(name, images, train, reference))
    rows.append(tidy(assess(name, described, real, other, floor, 100), "ultrasound", "fold0", 0))
rows = pd.concat(rows).assign(fold=0)
paper = pd.DataFrame(columns=["modality", "table", "item", "measure", "value", "source"])
names = ["shift (means of 16×16 px)", "brightness", "difference"]
added = ("shift", "brightness", "difference")
own = rows[rows["measure"].isin(names) & (rows["pathology"] == "all")]
quality = table_quality(rows, paper).query("`class` == 'all'").set_index("measure")
ranks = rank_generators(rows).drop_duplicates("measure").set_index("measure")
config = {"gans": ["sngan"], "generators": {"sngan": {"method": "sngan"}}}
facts = scorecard.Facts("sngan", "ultrasound", config, None, "means", {}, [], rows)
cards = {m["measure"]: m for m in scorecard._measures(facts, "means") if m["pathology"] == "all"}
drawn = [axis.get_title(loc="left") for axis in figures_of_gans.plot_quality("ultrasound", rows).axes]
print(json.dumps({
    "values": own.groupby(["measure", "generator"])["value"].first().unstack().notna().T.to_dict(),
    "brightness": table["brightness"].tolist(),
    "table": [name for name in quality.index if name.split()[0] in added],
    "criteria": {name: ranks.loc[name, "criterion"] for name in names},
    "cards": {name: [cards[name][key] for key in ("aspect", "better", "trained_against")] for name in names},
    "drawn": [title for title in drawn if title.split()[0] in added],
    "explained": {name: [m.explanation, m.unit] for name, m in page.explained(names)},
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a copy of the package to which three measures and a network were added."""
    folder = tmp_path_factory.mktemp("measures")
    files = {"quality/mine.py": FUNCTIONS, "networks/means.py": NETWORK}
    package_with(folder, files, {"quality/measures.py": RECORDS, "networks/networks.yaml": DECLARATION})
    (folder / "means.txt").write_text("0.01", encoding="utf-8")
    for name, seed, per_patient in (("train", 1, 2), ("held_out", 2, 2), ("sngan", 3, 0), ("cgan", 4, 0)):
        image_set(16, 16, seed, per_patient).save(folder / f"{name}.npz")
    return folder


def test_one_of_each_kind_is_in_rows_tables_ranks_scorecards_explanations_and_the_figure(folder):
    (said,) = said_by(JUDGE, folder)
    shift, brightness, difference = "shift (means of 16×16 px)", "brightness", "difference"
    generators = {"sngan": True, "cgan": True}
    assert {name: {g for g, there in found.items() if there} for name, found in said["values"].items()} == {
        shift: {*generators, "floor"},
        brightness: {*generators, "real", "held_out"},
        difference: {*generators, "real"},
    }
    real, held_out = (image_set(16, 16, seed) for seed in (1, 2))
    expected = [*(real.images.mean((1, 2)) + real.labels), *(held_out.images.mean((1, 2)) + held_out.labels)]
    assert said["brightness"] == pytest.approx(expected)
    assert said["table"] == [f"{shift} ↓", f"{difference} ↑", brightness]
    assert said["criteria"] == {shift: "lowest", brightness: "nearest to the real set", difference: "highest"}
    assert said["cards"] == {
        shift: ["images", "lower", True],
        brightness: ["novelty", None, False],
        difference: ["images", "higher", False],
    }
    assert said["drawn"] == ["shift\n(means of 16×16 px) ↓", "difference ↑"]
    assert said["explained"] == {
        shift: ["how means differ", ""],
        brightness: ["how bright images are", "grey levels"],
        difference: ["how far pixels differ", ""],
    }
