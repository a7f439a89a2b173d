"""Scorecards: their numbers are those of the tidy table, their JSON is as the schema says, their page stands alone."""

import copy
import json
from dataclasses import replace

import jsonschema
import numpy as np
import pandas as pd
import pytest
from test_page import Balance
from test_tables import quality_rows

from mammosynth.errors import InputError
from mammosynth.gans.settings import Settings, presets
from mammosynth.imageset import ImageSet
from mammosynth.report import scorecard
from mammosynth.report.scorecard import Facts, describe, describe_draw, describe_run, render, sample, write

CONFIG = {
    "sources": {
        "phantom_ultrasound": {"modality": "ultrasound", "phantoms": {"benign": 8}},
        "busi": {"modality": "ultrasound", "root": "busi"},
        "inbreast": {"modality": "mammography", "root": "inbreast"},
    },
    "databases": ["busi", "inbreast"],
    "rois": {"size": 32},
    "partition": {"folds": 5, "seed": 0},
    "generators": {name: {"method": name} for name in ("sngan", "projected_gan", "cyclegan")},
}
PARTITION = pd.DataFrame(
    {
        "lesion_id": [f"busi/{i}" for i in range(8)],
        # One patient has a mass of each class.
        "patient_id": ["a", "a", "b", "c", "c", "d", "e", "f"],
        "database": "busi",
        "pathology": ["benign", "benign", "benign", "benign", "malignant", "malignant", "benign", "malignant"],
        "part": ["train"] * 6 + ["val", "test"],
    }
)
HISTORY = pd.DataFrame({"step": [2, 2, 4, 4], "class": ["benign", "malignant"] * 2, "seconds": [5.0, 5.0, 9.5, 9.5]})
HISTORY["kd"] = [0.3, 0.2, 0.1, 0.4]
CONTENT = {
    "ids": [f"busi/{i}" for i in range(6)],
    "seed": 3,
    "steps": {"benign": 4, "malignant": 2},
    "version": "0.1.0",
    "fingerprint": "ab" * 32,
}
MEASURES = ("FD (EfficientNet-Lite0)", "FD (SqueezeNet 1.1)", "MS-SSIM, within set")


def run(content=CONTENT, history=HISTORY, fold=0):
    return describe_run(fold, content, history, PARTITION, "gans/sngan/seed3.pt", "cd" * 32)


def facts(generator="sngan", quality=None, **changes):
    settings = Settings.of({"method": generator, **presets()["few-images"][generator], "steps": 4}).flat()
    if quality is None:
        quality = quality_rows((generator, "real", "floor"), MEASURES)
    known = Facts(generator, "ultrasound", CONFIG, "few-images", "squeezenet", settings, [run()], quality)
    return replace(known, **changes)


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    sets = [ImageSet(rng.integers(0, 255, (n, 8, 8)), np.arange(n) % 2, np.arange(n)) for n in (30, 6)]
    return sample(*sets)


def text_of(card):
    return " ".join([*card["limits"], *card["not_measured"]])


def test_a_training_is_counted_in_rois_and_patients():
    found = run()
    assert found["rois"] == {"benign": 4, "malignant": 2}
    assert found["patients"] == {"benign": 3, "malignant": 2, "all": 4}
    assert found["databases"] == {"busi": 6}
    assert (found["seed"], found["steps"], found["seconds"], found["other_rois"]) == (3, 4, 9.5, 0)


def test_the_step_that_is_kept_has_the_distance_that_it_was_kept_for():
    assert run()["kept"] == [
        {"network": "benign", "step": 4, "kd": 0.1},
        {"network": "malignant", "step": 2, "kd": 0.2},
    ]
    assert [kept["kd"] for kept in run(history=HISTORY.drop(columns="kd"))["kept"]] == [None, None]


def test_a_generator_of_other_rois_gets_no_scorecard_and_one_that_began_elsewhere_says_so():
    with pytest.raises(InputError, match=r"seed3\.pt was not trained on 1 ROIs .* \(busi/5 is one\)"):
        run({**CONTENT, "ids": CONTENT["ids"][:5]})
    began = describe(facts(runs=[run({**CONTENT, "ids": [*CONTENT["ids"], "other/1", "other/2"]})]))
    assert "a training that saw 2 ROIs beside these" in text_of(began)
    assert "beside these" not in text_of(describe(facts()))


def test_every_measure_of_the_table_stands_beside_the_real_set_and_the_floor():
    rows = quality_rows(("sngan", "real", "floor", "cgan"), MEASURES)
    rows.loc[(rows["generator"] == "floor") & (rows["measure"] == "MS-SSIM, within set"), "measure"] = "other"
    rows.loc[(rows["generator"] == "sngan") & (rows["measure"] == MEASURES[0]), "value"] = np.nan
    card = describe(facts(quality=rows))
    assert [(m["pathology"], m["measure"]) for m in card["measures"]] == [
        (pathology, measure) for pathology in ("all", "benign", "malignant") for measure in MEASURES
    ]
    none, distance, within = card["measures"][:3]
    assert none["value"] is None
    assert (distance["value"], distance["low"], distance["high"], distance["n"]) == (10, 9, 60, 40)
    assert (distance["real"]["value"], distance["floor"]["value"], distance["better"]) == (20, 30, "lower")
    assert within["floor"] is None
    assert within["better"] is None
    assert {m["aspect"] for m in card["measures"]} == {"images"}


def test_several_runs_are_means_with_their_spread_and_say_whose_images_are_shown(samples):
    runs = [run(), run({**CONTENT, "seed": 5})]
    card = describe(facts(runs=runs, quality=quality_rows(("sngan", "real", "floor"), MEASURES, seeds=(0, 2))))
    measure = card["measures"][0]
    assert (measure["value"], measure["runs"], measure["low"]) == (11, 2, None)
    assert "11.0 ± 1.4" in render(card, samples)
    assert "means over 2 runs" in text_of(card)
    assert "of fold 0, seed 3" in text_of(card)
    assert "trained once" not in text_of(card)
    assert "trained once" in text_of(describe(facts()))


def test_values_on_features_that_it_was_trained_against_are_marked(samples):
    card = describe(facts("projected_gan"))
    assert card["making"]["trained_against"] == "EfficientNet-Lite0"
    assert [m["trained_against"] for m in card["measures"][:3]] == [True, False, False]
    assert render(card, samples).count("10.0 †") == 3
    assert "flattered" in text_of(card)
    other = describe(facts())
    assert "†" not in render(other, samples)
    assert "flattered" not in text_of(other)


def test_settings_that_are_not_the_presets_are_named():
    card = describe(facts())
    assert card["making"]["changed"] == {"steps": 4}
    assert card["making"]["settings"]["evaluate_every"] == presets()["few-images"]["sngan"]["evaluate_every"]
    assert describe(facts(preset=None))["making"]["changed"] == {}
    last = facts(settings=facts().settings | {"evaluate_every": 0})
    assert "the last was kept" in text_of(describe(last))
    assert describe(last)["making"]["kept_by"] is None


def test_phantoms_are_announced_and_only_where_there_are(samples):
    assert "not clinical data" not in render(describe(facts()), samples)
    drawn = describe(facts(config=CONFIG | {"databases": ["phantom_ultrasound", "inbreast"]}))
    page = render(drawn, samples)
    assert "Phantoms, not clinical data: phantom_ultrasound" in page
    assert "@top-center" in page
    assert "No number of ultrasound on this page says anything about the clinic" in text_of(drawn)
    assert drawn["making"]["databases"] == ["phantom_ultrasound"]


def test_a_translation_and_failures_are_limits():
    rows = quality_rows(("cyclegan", "real"), [*MEASURES, "SSIM, source"])
    rows.loc[(rows["measure"] == MEASURES[2]) & (rows["pathology"] == "all"), "failures"] = 7
    text = text_of(describe(facts("cyclegan", rows)))
    assert "translation of a real training ROI" in text
    assert "in ultrasound" in text
    assert "in mammography" not in text
    assert "MS-SSIM, within set on 7" in text
    assert "translation" not in text_of(describe(facts()))


def given(**changes):
    """The facts of images made elsewhere, drawn twice."""
    images = ImageSet(np.zeros((9, 4, 4)), [0] * 5 + [1] * 4, np.arange(9))
    runs = [describe_draw(0, seed, images[2:], images, f"theirs/seed{seed}.npz", "ef" * 32) for seed in (0, 1)]
    config = CONFIG | {"generators": CONFIG["generators"] | {"theirs": {"method": "images"}}}
    quality = quality_rows(("theirs", "real", "floor"), MEASURES)
    known = Facts("theirs", "ultrasound", config, None, "squeezenet", {"method": "images"}, runs, quality)
    return replace(known, verdict={"memorising": False, "sentence": "None."}, **changes)


def test_of_images_made_elsewhere_it_says_what_is_drawn_and_what_is_not_known(samples):
    card = describe(given(leaks={"found": False, "sentence": "No <sign>."}))
    assert card["making"]["runs"][1] == {
        "fold": 0,
        "seed": 1,
        "images": {"benign": 3, "malignant": 4},
        "of": {"benign": 5, "malignant": 4},
        "file": "theirs/seed1.npz",
        "sha256": "ef" * 32,
    }
    assert card["making"].keys() == {"method", "pixels", "runs"}
    said = text_of(card)
    assert "it cannot be ruled out that what made them saw validation or test ROIs" in said
    assert "means over 2 runs" in said
    assert not any(words in said for words in ("It learned from", "trained once", "the last was kept", "very ROIs"))
    page = render(card, samples)
    assert "Elsewhere: what made its images" in page
    assert "3 benign, 4 malignant</td><td>5 benign, 4 malignant" in page
    assert '<div class="answer"><p>No &lt;sign&gt;.</p></div>' in page
    assert describe(facts())["novelty"]["leaks"] is None


def test_leaks_stand_at_the_top_of_a_scorecard(samples):
    page = render(describe(given(leaks={"found": True, "sentence": "Test ROIs are among them."})), samples)
    assert page.count("Test ROIs are among them.") == 2
    assert page.index("Test ROIs are among them.") < page.index('id="samples"')
    assert '<div class="answer flag"><p>Test ROIs are among them.</p></div>' in page


@pytest.mark.parametrize(("memorising", "flag"), [(True, "Memorising."), (False, "No sign of memorising.")])
def test_the_verdict_on_novelty_is_shown(samples, memorising, flag):
    card = describe(facts(verdict={"memorising": memorising, "sentence": "Copies: 12 of <100>."}))
    page = render(card, samples)
    assert f"<strong>{flag}</strong> Copies: 12 of &lt;100&gt;." in page
    assert ("Memorising: Copies" in page) == memorising  # at the top
    assert ('class="answer flag"' in page) == memorising
    assert "novelty" not in text_of(card)


def test_what_nobody_judged_is_said(samples):
    card = describe(facts())
    assert card["novelty"] == {"memorising": None, "sentence": "Not judged.", "leaks": None}
    assert "novelty was not judged" in text_of(card)
    assert "Whether benign and malignant images look so" in text_of(card)
    measured = quality_rows(("sngan", "held_out"), ["near copies", "AuthPct", "label accuracy"])
    card = describe(facts(quality=pd.concat([quality_rows(("sngan", "real", "floor"), MEASURES), measured])))
    assert {m["measure"]: m["aspect"] for m in card["measures"][3:6]} == {
        "near copies": "novelty", "AuthPct": "novelty", "label accuracy": "label fidelity",
    }  # fmt: skip
    assert "Whether benign and malignant images look so" not in text_of(card)
    page = render(card, samples)
    novelty, images = (page[page.index(f'id="{name}"') :].partition("</section>")[0] for name in ("novelty", "images"))
    assert "<th>held-out real</th>" in novelty
    assert "<th>real set</th>" not in novelty  # it has none of these
    assert "<th>held-out real</th>" not in images
    assert "<th>real set</th><th>real vs real</th>" in images
    assert page.index("near copies") < page.index('id="labels"') < page.index("label accuracy")
    assert page.index("label accuracy") < page.index('id="images"')


def test_the_page_is_whole_and_stands_alone(samples, tmp_path):
    (tmp_path / "pairs.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    for neighbours, images in ((None, 4), (tmp_path / "pairs.svg", 5)):
        page = render(describe(facts()), samples, neighbours, "Pairs, side by side.")
        parser = Balance()
        parser.feed(page)
        assert not parser.open
        assert page.count('src="data:image/') == images
        assert ("<figcaption>Pairs, side by side.</figcaption>" in page) == (images == 5)
        assert all(link.startswith("data:") for link in parser.links)


def test_the_file_holds_what_the_page_shows_and_no_nan(samples, tmp_path):
    rows = quality_rows(("sngan", "real", "floor"), MEASURES)
    rows.loc[rows["generator"] == "sngan", ["low", "high"]] = np.nan
    card = describe(facts(quality=rows))
    write(card, samples, None, "", html=tmp_path / "sngan.html", data=tmp_path / "sngan.json")

    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads((tmp_path / "sngan.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert read == card
    assert read["measures"][0]["low"] is None
    assert (tmp_path / "sngan.html").read_text(encoding="utf-8") == render(card, samples)


def _set(card, path, value):
    *way, last = path
    for key in way:
        card = card[key]
    if value is None:
        del card[last]
    else:
        card[last] = value


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["novelty"], None, "novelty"),
        (["novelty", "memorising"], "no", "novelty.memorising"),
        (["measures", 0, "value"], "10", "value"),
        (["measures", 0, "pathology"], "normal", "pathology"),
        (["measures", 0, "real", "n"], -1, "n"),
        (["making", "runs", 0, "sha256"], "cd", "sha256"),
        (["making", "runs", 0, "rois", "benign"], 0, "rois.benign"),
        (["making", "part"], "test", "part"),
        (["intended_use", "not_for"], [], "not_for"),
        (["score"], 1, "score"),
    ],
)
def test_a_card_that_is_not_as_the_schema_says_is_refused(samples, tmp_path, path, value, named):
    card = copy.deepcopy(describe(facts()))
    _set(card, path, value)
    with pytest.raises(InputError, match=named):
        write(card, samples, None, "", html=tmp_path / "card.html", data=tmp_path / "card.json")
    assert not list(tmp_path.iterdir())


def test_the_schema_is_one_and_describes_every_field():
    schema = json.loads(scorecard.SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    fields = []

    def look(node):
        if isinstance(node, dict):
            if node.get("type") == "object" and "properties" in node:
                fields.extend(node["properties"].items())
                assert node["additionalProperties"] is False
                assert sorted(node["required"]) == sorted(node["properties"])
            for inner in node.values():
                look(inner)
        elif isinstance(node, list):
            for inner in node:
                look(inner)

    look(schema)
    assert len(fields) > 50
    assert all(field.get("description") for _, field in fields)


def test_samples_are_spread_over_each_set_by_class(samples):
    assert list(samples) == ["benign", "malignant"]
    columns, rows, gap = scorecard.COLUMNS, scorecard.ROWS, 4
    assert samples["benign"]["real"].shape == (rows * 8 + (rows - 1) * gap, columns * 8 + (columns - 1) * gap)
    assert samples["benign"]["synthetic"].shape[0] == 8  # three images of the class: one row
    images = np.arange(26, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    one = ImageSet(images, np.arange(26) % 2, np.arange(26))
    shown = sample(one, one)["malignant"]["real"]
    assert shown[0, 0] == 1  # the first malignant image
    assert shown[-1, -1] == 25  # and the last
