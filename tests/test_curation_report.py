"""What is said of curation: counts that add up, pictures that show what they should, a card that hides nothing."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from databases_for_tests import phantoms, real, settings
from matplotlib.colors import to_hex
from PIL import Image
from workflow_for_tests import snakemake

from mammosynth.curation import load_images, load_lesions, read_databases
from mammosynth.databases import busi, open_source, read_database
from mammosynth.findings.flow import count_flow
from mammosynth.report import curation, datacard
from mammosynth.report.curation import ALL, characterise, find_groups, in_conflict, plot_flow, plot_groups

PARTS = ("train", "val", "test")
NO_PAIRS = pd.DataFrame({"first": [], "second": [], "correlation": [], "joined": []}).astype({"joined": bool})


@pytest.fixture
def images(tmp_path):
    """Five images of database a, one near-duplicate pair of them in conflict, and two of b."""
    rows = [
        ("a", "1", "benign", 1, "1"),
        ("a", "2", "malignant", 1, "1"),
        ("a", "3", "benign, malignant", 2, ""),
        ("a", "4", "benign", 1, ""),
        ("a", "5", "malignant", 1, ""),
        ("a", "6", "normal", 0, ""),
        ("b", "7", "benign", 1, "2"),
        ("b", "8", "benign", 1, "2"),
        ("b", "9", "no mass (calcification)", 0, ""),
    ]
    rng = np.random.default_rng(0)
    for _, name, *_ in rows:
        Image.fromarray(rng.integers(0, 256, (40, 60), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    table = pd.DataFrame(rows, columns=["database", "image", "shows", "lesions", "duplicates"])
    conflict = ["near-duplicates with different labels (benign, malignant)"] * 2 + [""] * 7
    return table.assign(conflict=conflict, image=[str(tmp_path / f"{name}.png") for name in table["image"]])


@pytest.fixture
def rois(images):
    conflict = "near-duplicates with different labels (benign, malignant)"
    rows = [
        ("a/1", "a", 0, "benign", conflict, "a/1", "", "", ""),
        ("a/2", "a", 1, "malignant", conflict, "a/1", "", "", ""),
        ("a/3-1", "a", 2, "benign", "", "a/3", "L CC", "40", "3"),
        ("a/3-2", "a", 2, "malignant", "", "a/3", "L CC", "40", "5"),
        ("a/4", "a", 3, "benign", "exclusion list: axilla", "a/4", "", "", ""),
        ("a/5", "a", 4, "malignant", "", "a/5", "R CC", "60", ""),
        ("b/7", "b", 6, "benign", "", "b/7", "", "", ""),
        ("b/8", "b", 7, "benign", "exclusion list: seen twice", "b/7", "", "", ""),
    ]
    columns = ["lesion_id", "database", "image", "pathology", "excluded", "group", "view", "age", "birads"]
    table = pd.DataFrame(rows, columns=columns)
    table["image"] = images["image"].to_numpy()[table["image"]]
    measured = {"scale": 56 / 128, "padded": 0.0, "moved": 0.0, "beyond": 0.0, "marks": 0.001}
    return table.assign(patient_id="", remark="", x0=10, y0=10, x1=50, y1=30, **measured, window_low=3, window_high=200)


@pytest.fixture
def alike():
    """Two lesions of a that are taken for one, and one of b that may be one of a's."""
    rows = [("a/3-2", "a/5", 0.812, True), ("a/3-1", "b/7", 0.643, False)]
    return pd.DataFrame(rows, columns=["first", "second", "correlation", "joined"])


@pytest.fixture
def partition(rois):
    return rois[rois["excluded"] == ""][["lesion_id"]].assign(part=["train", "train", "val", "test"])


@pytest.fixture
def flow(images, rois, alike, partition):
    return count_flow(images, rois, alike, {0: partition, 1: partition.assign(part=["val", "val", "test", "train"])})


def rows_of(flow, step, database=ALL):
    return flow[(flow["step"] == step) & (flow["database"] == database)]


def test_a_flow_has_the_counts_that_are_known(flow):
    assert rows_of(flow, "images")["images"].item() == 9
    assert rows_of(flow, "images", "b")["images"].item() == 3
    without = rows_of(flow, "no lesion")
    assert dict(zip(without["reason"], without["images"])) == {"normal": 1, "no mass (calcification)": 1}
    assert rows_of(flow, "lesions")[["images", "benign", "malignant"]].values.tolist() == [[7, 5, 3]]
    excluded = rows_of(flow, "excluded", "a").set_index("reason")[["benign", "malignant"]]
    assert excluded.loc["near-duplicates with different labels (benign, malignant)"].tolist() == [1, 1]
    assert excluded.loc["exclusion list: axilla"].tolist() == [1, 0]
    assert rows_of(flow, "ROIs")[["benign", "malignant", "patients"]].values.tolist() == [[2, 2, 3]]
    assert rows_of(flow, "joined")[["benign", "malignant"]].values.tolist() == [[0, 2]]
    assert rows_of(flow, "to review", "b")[["benign", "malignant"]].values.tolist() == [[1, 0]]
    train = rows_of(flow, "train")
    assert dict(zip(train["fold"], train["benign"])) == {0: 1, 1: 1}
    assert rows_of(flow[flow["fold"] == 0], "train")[["benign", "malignant", "patients"]].values.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("reader", ["busi", "mini_mias"])
def test_nothing_is_lost_between_two_steps(reader):
    source = settings(reader, phantoms(reader))
    lesions, images = read_databases({"one": source})
    partition = lesions[lesions["excluded"] == ""][["lesion_id"]]
    partition = partition.assign(part=[PARTS[i % 3] for i in range(len(partition))])
    flow = count_flow(images, lesions, NO_PAIRS, {0: partition})
    for database in (ALL, "one"):
        n = {step: int(rows_of(flow, step, database)[["benign", "malignant"]].sum().sum()) for step in flow["step"]}
        with_lesion = rows_of(flow, "lesions", database)["images"].item()
        assert rows_of(flow, "images", database)["images"].item() == with_lesion + (images["lesions"] == 0).sum()
        assert n["lesions"] == n["excluded"] + n["ROIs"] == len(lesions)
        assert n["ROIs"] == sum(n[part] for part in PARTS)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_flow_diagram_says_what_was_counted(flow):
    said = texts(plot_flow(flow, "Ultrasound", 0))
    for line in (
        "Ultrasound", "Images found: 9", "a: 6", "b: 3", "Without a lesion to read: 2", "normal: 1",
        "Lesions: 8 in 7 images", "5 benign, 3 malignant", "b: 2 benign, 0 malignant", "Lesions excluded: 4",
        "on an exclusion list: 2", "near-duplicates with different labels (benign, malignant): 2",
        "ROIs: 4 of 3 patients or groups", "ROIs that look like those of others",
        "Joined as one lesion: 2 ROIs, of 2 patients or groups",
        "To be looked at, alike.png: 2 ROIs, of 2 patients or groups",
        "Training: 2", "Validation: 1", "Test: 1", "1 benign, 1 malignant",
    ):  # fmt: skip
        assert line in said, line
    assert "Validation: 2" in texts(plot_flow(flow, "Ultrasound", 1))


def test_a_flow_diagram_without_exclusions_can_be_drawn(images, rois):
    images, rois = images[6:7], rois[6:7]
    partition = pd.DataFrame({"lesion_id": ["b/7"] * 1, "part": ["train"]})
    flow = count_flow(images, rois, NO_PAIRS, {0: partition})
    said = texts(plot_flow(flow, "One", 0))
    assert "Lesions excluded: 0" in said
    assert "Test: 0" in said
    assert "ROIs that look like those of others" not in said


def test_texts_stay_in_their_boxes(flow):
    reason = "a reason of very many words that " * 6
    flow.loc[flow["step"] == "no lesion", "reason"] = reason
    figure = plot_flow(flow, "Ultrasound", 0)
    figure.canvas.draw()
    axis = figure.axes[0]
    boxes = [patch.get_window_extent() for patch in axis.patches]
    for text in axis.texts[1:]:
        if text.get_text():
            extent = text.get_window_extent()
            assert any(
                box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1
                for box in boxes
            ), text.get_text()


def table_of(characteristics):
    return {(row[0], row[1]): row[2:] for row in characteristics.itertuples(index=False)}


def test_characteristics_have_the_values_that_are_known(rois, partition):
    table = characterise(rois, partition, 128, 0.2)
    assert list(table.columns) == ["characteristic", "level", *PARTS, ALL]
    found = table_of(table)
    assert found["ROIs", ""] == ("2", "1", "1", "4")
    assert found["patients or groups", ""] == ("1", "1", "1", "3")
    assert found["pathology", "malignant"] == ("1 (50 %)", "1 (100 %)", "0 (0 %)", "2 (50 %)")
    assert found["database", "b"] == ("0 (0 %)", "0 (0 %)", "1 (100 %)", "1 (25 %)")
    assert found["view", "L CC"][3] == "2 (50 %)"
    assert found["view", "not known"] == ("0 (0 %)", "0 (0 %)", "1 (100 %)", "1 (25 %)")
    assert found["BI-RADS", "not known"][3] == "2 (50 %)"
    assert found["age, years", ""][0] == "40.0 [40.0–40.0]"
    assert found["age, years", ""][2] == "–"
    assert found["age, years", "not known"][3] == "1 (25 %)"
    assert found["longer side of the lesion, px", ""][3] == "40.0 [40.0–40.0]"
    assert ("longer side of the lesion, px", "not known") not in found
    assert found["ROIs of the largest of them", ""] == ("2", "1", "1", "2")


def test_ages_are_read_as_databases_write_them_or_said_not_to_be(rois, partition):
    rois.loc[[2, 3, 5, 6], "age"] = ["045Y", "45,5", "40-49", "NA"]
    found = table_of(characterise(rois, partition, 128, 0.2))
    assert found["age, years", ""] == ("45.2 [45.1–45.4]", "–", "–", "45.2 [45.1–45.4]")
    assert found["age, years", "not known"][3] == "1 (25 %)"
    assert found["age, years", 'not read, such as "40-49"'] == ("0 (0 %)", "1 (100 %)", "0 (0 %)", "1 (25 %)")


def test_what_no_database_tells_has_no_row(rois, partition):
    blank = rois.assign(view="", age="", birads="")
    assert not {"view", "age, years", "BI-RADS"} & set(characterise(blank, partition, 128, 0.2)["characteristic"])


def test_ready_made_rois_do_not_tell_the_lesions_size(rois, partition):
    rois.loc[rois["database"] == "b", "scale"] = 40 / 128  # the square is the box
    found = table_of(characterise(rois, partition, 128, 0.2))
    assert found["longer side of the lesion, px", "not known"][2:] == ("1 (100 %)", "1 (25 %)")
    found = table_of(characterise(rois.assign(scale=40 / 128), partition, 128, 0.0))
    assert found["longer side of the lesion, px", ""][3] == "40.0 [40.0–40.0]"  # no margin tells them apart


def test_groups_and_conflicts(images):
    groups = find_groups(images)
    assert [list(group["lesions"]) for group in groups] == [[1, 1], [1, 1]]
    assert [in_conflict(group) for group in groups] == [True, False]
    # of an image with lesions of both classes and its copy curation knows which lesion is which
    assert not in_conflict(images.iloc[[2, 2]])


def test_every_image_of_a_group_is_shown_and_framed_by_what_it_shows(images):
    figure = plot_groups(find_groups(images), "ultrasound", "Near-duplicates", "none found")
    axis = figure.axes[0]
    assert len(axis.images) == 4
    assert {"Near-duplicates: 2 groups of 4 images", "1", "2", "7", "8"} <= set(texts(figure))
    assert [text for text in texts(figure) if text in "ab"] == ["a", "a", "b", "b"]  # the database of each
    frames = [to_hex(patch.get_edgecolor()).upper() for patch in axis.patches if patch.get_zorder() == 2]
    assert sorted(frames) == sorted([*[curation.COLOURS["benign"]] * 3, curation.COLOURS["malignant"]])


def test_pairs_to_be_looked_at_are_shown_with_their_surroundings(images, rois, alike):
    pixels = np.zeros((40, 60), dtype=np.uint8)
    pixels[10:30, 10:50] = 200  # the lesion's box; around it are 20 px of the image on each side, or what there is
    for image in images["image"]:
        Image.fromarray(pixels).save(image)
    pairs = curation.find_pairs(alike, rois)
    figure = plot_groups(pairs, "ultrasound", "ROIs that look alike", "none found", "pairs")
    assert len(figure.axes[0].images) == 4
    said = texts(figure)
    assert "ROIs that look alike: 2 pairs of 3 images" in said  # one of them has two of the lesions
    for text in ("3-2", "5", "0.81, joined", "3-1", "7", "0.64"):
        assert text in said, text
    assert [text for text in said if text in "ab"] == ["a", "a", "a", "b"]
    (place,) = set(curation.find_pairs(alike, rois)[0]["place"])
    assert place == pytest.approx((0, 0, 1, 1))
    assert curation.thumbnail(Path(images["image"][2]), "ultrasound", (0.5, 0.25, 1, 0.75)).shape == (85, 128)


def test_no_group_is_said_so(images):
    figure = plot_groups([], "ultrasound", "Near-duplicates", "none found")
    assert "Near-duplicates: none found" in texts(figure)


def test_what_a_sheet_does_not_show_is_said(images, monkeypatch):
    monkeypatch.setattr(curation, "MOST", 2)
    figure = plot_groups(find_groups(images), "ultrasound", "Near-duplicates", "none found")
    assert "Near-duplicates: 2 groups of 4 images; the first 1 shown" in texts(figure)
    assert len(figure.axes[0].images) == 2


def test_a_large_group_takes_several_rows(images):
    large = pd.concat([images[:1]] * 30).assign(duplicates="1")
    figure = plot_groups(find_groups(pd.concat([large, images])), "ultrasound", "Near-duplicates", "none found")
    axis = figure.axes[0]
    extents = np.array([image.get_extent() for image in axis.images])
    assert len(np.unique(extents[:, [0, 3]], axis=0)) == 34
    left, right = axis.get_xlim()
    assert extents[:, 0].min() > left
    assert extents[:, 1].max() < right


def test_sixteen_bits_make_a_thumbnail(tmp_path):
    pixels = np.random.default_rng(0).integers(1000, 3000, (200, 300)).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = curation.thumbnail(tmp_path / "a.png", "ultrasound")
    assert found.shape == (85, 128)
    assert found.dtype == np.uint8
    assert 100 < found.mean() < 150


@pytest.fixture
def facts(tmp_path, images, rois, alike, partition, flow):
    figure = tmp_path / "flow.svg"
    curation.figures.save(plot_flow(flow, "Ultrasound", 0), figure)
    sources = {
        "a": settings("busi", tmp_path),
        "b": settings("rois", tmp_path, benign="b", malignant="m", near_duplicates=None) | {"modality": "ultrasound"},
        "other": settings("mini_mias", tmp_path),
    }
    config = {
        "sources": sources, "databases": list(sources), "partition": {"folds": 5},
        "rois": {"size": 128, "margin": 0.2, "min_side": 16},
    }  # fmt: skip
    table = characterise(rois, partition, 128, 0.2)
    return datacard.Facts("ultrasound", config, images, rois, alike, table, 0, figure)


def test_a_data_card_says_terms_counts_and_exclusions(facts):
    card = datacard.describe(facts)
    a, b = card["databases"]
    assert (a["title"], a["licence"]) == ("BUSI", busi.DATABASE.licence)
    assert "Al-Dhabyani" in a["citation"]
    assert (a["images"], a["lesions"], a["used"], a["patients"], a["bits"]) == (6, 6, 3, None, 32)
    assert (b["licence"], b["bits"]) == (datacard.OWN, None)
    assert sum(row["lesions"] for row in card["exclusions"]) == 4
    assert card["exclusions"][0]["lesions"] == 2
    assert (card["groups"], card["grouped"], card["conflicts"]) == (2, 4, 1)
    assert not card["phantoms"]
    assert card["alike"]["joined"] == ["a/3-2 = a/5 (0.81)"]
    assert card["alike"]["to_review"] == 1
    assert (card["largest"], card["alike"]["unnamed"]) == (2, 0)
    many = datacard._alike(pd.concat([facts.alike] * 30))
    assert (len(many["joined"]), many["unnamed"], many["to_review"]) == (20, 10, 30)


def test_patients_are_counted_alike_everywhere(facts, images, rois, alike, partition):
    """Two patients of the database's own ids who share a lesion are one; b tells none of its patients."""
    rois.loc[rois["database"] == "a", "patient_id"] = ["1", "1", "3", "3", "4", "5"]
    rois["group"] = rois["group"].replace("a/5", "a/3")
    a, b = datacard.describe(facts)["databases"]
    flow = count_flow(images, rois, alike, {0: partition})
    assert a["patients"] == rows_of(flow, "ROIs", "a")["patients"].item() == 1
    assert b["patients"] is None
    assert table_of(characterise(rois, partition, 128, 0.2))["patients or groups", ""][3] == "2"


def test_a_data_card_says_which_ages_were_not_read(facts):
    facts.rois.loc[2, "age"] = "40-49"
    said = " ".join(datacard.describe(facts)["unknown"])
    assert 'age of 1 ROIs (a), which is no number of years, such as "40-49"' in said
    assert "age: not read for 1 of 4 ROIs (b)" in said


def test_a_data_card_says_of_which_rois_a_person_should_know_something(facts):
    remarks = {"a/3-1": "its box is elsewhere", "b/7": "mask rescaled", "a/4": "of one that is excluded"}
    rois = facts.rois.assign(remark=[remarks.get(lesion, "") for lesion in facts.rois["lesion_id"]])
    said = [sentence for sentence in datacard.unknown(dataclasses.replace(facts, rois=rois)) if "remark" in sentence]
    assert len(said) == 2
    for sentence, lesion, remark in zip(said, ("1 ROIs (a), such as a/3-1", "b/7"), ("elsewhere", "mask rescaled")):
        assert lesion in sentence
        assert remark in sentence


def test_a_data_card_says_what_is_not_known(facts):
    said = " ".join(datacard.describe(facts)["unknown"])
    for part in (
        "a, b gives none for 4 ROIs", "age: not read for 1 of 4 ROIs (b)", "BI-RADS category: not read for 2 of 4",
        "images of b are near-duplicates", "millimetres",
    ):  # fmt: skip
        assert part in said, part


def test_a_data_card_says_what_tells_the_classes_apart_without_the_lesion(facts, tmp_path):
    few = datacard.describe(facts)["nuisances"]
    assert (few["rois"], few["patients"], few["all"]) == (4, 3, None)
    assert ("padding", "share of ROIs that are padded", "0", "0", "–") in few["rows"]
    rois = pd.concat(
        [
            facts.rois.assign(group=facts.rois["group"] + str(n), lesion_id=facts.rois["lesion_id"] + str(n))
            for n in range(9)
        ]
    )
    malignant = rois["pathology"] == "malignant"
    many = dataclasses.replace(facts, rois=rois.assign(padded=np.where(malignant, 0.2, 0.0)))
    found = datacard.describe(many)["nuisances"]
    assert ("padding", "share of ROIs that are padded", "0", "1.00", "1.000") in found["rows"]
    assert found["all"].startswith("1.000")
    datacard.write(many, "Counts.", tmp_path / "card.html")
    page = (tmp_path / "card.html").read_text()
    assert "callipers, text or the like" in page
    assert "36 ROIs of 27 patients or groups" in page
    datacard.write(facts, "Counts.", tmp_path / "few.html")
    assert "Too few patients" in (tmp_path / "few.html").read_text()


def test_a_data_card_stands_alone(facts, tmp_path):
    facts.config["sources"]["a"] = {"reader": "busi", "modality": "ultrasound", "phantoms": {}}
    facts.rois.loc[4, "excluded"] = "exclusion list: <b>axilla</b>"
    datacard.write(facts, "Counts.", tmp_path / "card.html")
    page = (tmp_path / "card.html").read_text()
    assert "not clinical data" in page
    assert "data:image/webp" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<b>axilla" not in page
    for text in (
        "Al-Dhabyani",
        "&lt;b&gt;axilla",
        "1 (50 %)",
        "validation",
        "a/3-2 = a/5 (0.81)",
        "1 more correlate by over 0.6",
    ):
        assert (text in page) == (text != "Al-Dhabyani"), text  # phantoms are not the database's


def test_films_that_show_no_mass_are_counted():
    reading = read_database(open_source("mias", settings("mini_mias", real("mini-mias"))))
    found = pd.Series(reading.passed_over.values()).value_counts()
    assert found.to_dict() == {
        "no mass (calcification)": 25, "no mass (architectural distortion)": 19, "no mass (asymmetry)": 15,
    }  # fmt: skip
    films = {lesion.image for lesion in reading.lesions} | {str(path) for path in reading.passed_over}
    assert len(films) + len(reading.normals) == len(list(real("mini-mias").rglob("*.pgm")))


def test_the_card_says_on_what_files_a_reader_was_tried(facts):
    said = " ".join(datacard.describe(facts)["unknown"])
    assert f"How far a is read rightly: it was tried on {busi.DATABASE.tried}" in said


def test_the_workflow_makes_the_card(tmp_path):
    source = {"reader": "busi", "modality": "ultrasound", "phantoms": {"benign": 16, "malignant": 12, "seed": 0}}
    card = "results/ultrasound/curation/data_card.html"
    run = snakemake(tmp_path, card, study={"sources": {"toy": source}, "databases": ["toy"], "folds": [0, 2]})
    assert run.returncode == 0, run.stdout
    folder = tmp_path / "results/ultrasound/curation"
    assert {path.name for path in folder.iterdir()} == {
        "images.csv", "flow.csv", "flow.svg", "flow.pdf", "characteristics.csv", "near_duplicates.png", "conflicts.png",
        "alike.csv", "alike.png", "data_card.html",
    }  # fmt: skip
    assert "Phantoms, not clinical data: toy" in (tmp_path / card).read_text()
    assert set(pd.read_csv(folder / "flow.csv")["fold"].dropna()) == {0, 2}
    images = load_images(folder / "images.csv")
    rois = load_lesions(folder.parent / "rois.csv")
    assert images["lesions"].sum() == len(rois)
    assert set(find_groups(images)[0]["image"]) <= set(rois["image"])
