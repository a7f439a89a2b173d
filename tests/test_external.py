"""External test databases: nothing that is fitted or chosen sees them, and what they show is scored apart."""

import copy
import re
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from databases_for_tests import picture, save, save_csv, settings
from test_curation import rois_of, textures
from test_page import CONFIG
from test_partition import lesions as lesions_of
from test_partition import partition_of
from test_scores import predictions, row
from workflow_for_tests import snakemake

from mammosynth import curation, paths, study
from mammosynth.arrays.comparisons import mean_over_runs
from mammosynth.arrays.statistics import SCORES, draw_patients
from mammosynth.classifiers.scores import score
from mammosynth.classifiers.validation import decided
from mammosynth.curation import SHARED, curate, join_alike, read_databases, read_lesions
from mammosynth.databases.phantoms import make_phantoms
from mammosynth.errors import InputError
from mammosynth.findings import conclusions
from mammosynth.findings.flow import count_flow
from mammosynth.findings.tables import table_accuracy
from mammosynth.imageset import ImageSet
from mammosynth.partition import EXTERNAL, assign_parts, count_parts, external_part, split_images
from mammosynth.report.contact import plot_contact_sheet
from mammosynth.report.curation import characterise, plot_flow

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
OF_TRAINING = ["lesion_id", "group", "excluded"]


def table(root: Path, patients: int, seed: int) -> dict:
    """A source with the reader table: two images of each patient, all unlike."""
    lines = [["image", "x0", "y0", "x1", "y1", "pathology", "patient"]]
    for n in range(patients):
        for image in (f"{n}.png", f"{n} again.png"):
            save(picture(seed + len(lines)), root / image)
            lines.append([image, 5, 2, 40, 50, "malignant" if n % 2 else "benign", f"P{n}"])
    save_csv(lines, root / "lesions.csv")
    return settings("table", root)


@pytest.fixture
def two(tmp_path):
    return {name: table(tmp_path / name, 10, seed) for name, seed in (("here", 100), ("there", 200))}


def copied(folder: Path, one: str, other: str) -> None:
    (folder / other).write_bytes((folder / one).read_bytes())


@pytest.mark.parametrize("copy_of", ["here/3.png", "here/4.png"], ids=["of its class", "of the other class"])
def test_an_external_copy_is_excluded_with_its_patient_and_the_other_database_is_as_without(tmp_path, two, copy_of):
    alone = read_lesions({"here": two["here"]})
    copied(tmp_path, copy_of, "there/7.png")
    lesions, images = read_databases(two, ["there"])
    here, there = (lesions[lesions["database"] == name] for name in ("here", "there"))
    pd.testing.assert_frame_equal(here[OF_TRAINING], alone[OF_TRAINING])
    excluded = there[there["excluded"] != ""]
    assert set(excluded["lesion_id"]) == {"there/7.png-1", "there/7 again.png-1"}
    assert set(excluded["excluded"]) == {SHARED}
    alike = images[images["duplicates"] != ""]
    assert set(alike["database"]) == {"here", "there"}  # one group, to be looked at
    assert alike["duplicates"].nunique() == 1
    assert (images["conflict"] == "").all()
    assert (lesions.groupby("group")["database"].nunique() == 1).all()


def test_near_duplicates_among_external_images_are_joined_and_in_conflict_as_any(tmp_path, two):
    copied(tmp_path, "there/3.png", "there/7.png")
    copied(tmp_path, "there/4.png", "there/9.png")
    lesions = read_lesions(two, ["there"]).set_index("lesion_id")
    assert lesions.loc["there/3.png-1", "group"] == lesions.loc["there/7.png-1", "group"]
    assert set(lesions.index[lesions["excluded"] != ""]) == {"there/4.png-1", "there/9.png-1"}


def test_an_external_image_between_two_others_does_not_join_them(monkeypatch):
    """Were it pooled, the three would be one group."""
    columns = ["lesion_id", "database", "image", "pathology", "patient_id", "x0", "y0", "x1", "y1", "excluded"]
    names = [("here", "a"), ("here", "b"), ("there", "c")]
    rows = [(f"{name}/{image}", name, image, "benign", image, 0, 0, 9, 9, "") for name, image in names]
    lesions, normals = pd.DataFrame(rows, columns=columns), pd.DataFrame(columns=["database", "image"])
    hashes = np.zeros((3, 256), dtype=bool)
    hashes[1, :40] = hashes[2, :20] = True
    monkeypatch.setattr(curation, "hash_images", lambda paths: hashes[: len(paths)])
    monkeypatch.setattr(curation, "same_place", lambda pairs, paths, boxes: np.ones(len(pairs), dtype=bool))
    bits = {"here": 24, "there": 24}
    assert curate(lesions, normals, bits)[0]["group"].nunique() == 1
    found, _ = curate(lesions, normals, bits, ["there"])
    assert found["group"].tolist() == ["here/a", "here/b", "there/c"]
    assert found["excluded"].tolist() == ["", "", SHARED]
    off, _ = curate(lesions, normals, bits | {"there": None}, ["there"])
    assert (off["excluded"] == "").all()


def test_a_file_of_an_external_database_and_of_another_is_refused(two):
    with pytest.raises(InputError, match=r"0 again\.png is of here, twin, and not all of them are external: leave one"):
        read_lesions({"here": two["here"], "twin": two["here"]}, ["twin"])


def test_external_rois_that_look_like_others_are_excluded_with_all_of_their_patient():
    """The second ROI is the first in another field of view; the third is of its patient."""
    first, *others = textures(4, seed=3)
    again = np.pad(first, 6, mode="reflect")[4:132, 8:136]
    rois, lesions = rois_of(np.stack([first, again, *others]), [0, 1, 0, 1, 1], list("abbcd"))
    lesions["database"] = ["busi", "there", "there", "there", "busi"]
    kept, found, pairs = join_alike(rois, lesions, ["busi", "there"], ["there"])
    assert found["excluded"].tolist() == ["", SHARED, SHARED, "", ""]
    assert kept.ids.tolist() == ["lesion 0", "lesion 3", "lesion 4"]
    assert found["group"].tolist() == list("abbcd")
    assert pairs[["first", "second"]].to_numpy().tolist() == [["lesion 0", "lesion 1"]]  # for a person to look at
    alone, _, _ = join_alike(rois[[0, 4]], lesions.iloc[[0, 4]], ["busi"])
    np.testing.assert_array_equal(alone.patients, ["a", "d"])


def both():
    """Usable lesions of two databases, the second external, and their ROIs."""
    frame = pd.concat([lesions_of(), lesions_of(12, 8, database="there", seed=1)], ignore_index=True)
    frame = frame.assign(excluded="")
    labels = (frame["pathology"] == "malignant").to_numpy()
    ids, groups = (frame[column].to_numpy(dtype=str) for column in ("lesion_id", "group"))
    return frame, ImageSet(np.arange(len(frame), dtype=np.uint8).reshape(-1, 1, 1), labels, ids, groups)


def test_external_lesions_are_a_part_of_every_fold_and_the_others_are_split_as_without():
    frame, images = both()
    outside = external_part(frame[frame["database"] == "there"])
    assert (outside["part"] == EXTERNAL).all()
    for fold in range(5):
        inside = assign_parts(frame[frame["database"] == "d"], folds=5, fold=fold, seed=0)
        parts = split_images(images, pd.concat([inside, outside]))
        assert set(parts) == {"train", "val", "test", EXTERNAL}
        assert set(parts[EXTERNAL].ids) == set(frame.loc[frame["database"] == "there", "lesion_id"])
        for name, part in split_images(images[:90], inside).items():
            np.testing.assert_array_equal(part.images, parts[name].images)
    assert set(split_images(images, outside)) == {EXTERNAL}
    assert external_part(frame[:0]).empty


def test_an_external_part_without_a_class_is_refused():
    frame = both()[0]
    there = frame[frame["database"] == "there"]
    excluded = there.assign(excluded=np.where(there["pathology"] == "malignant", SHARED, ""))
    message = rf"^external databases: ultrasound: all 8 malignant lesions are excluded \({SHARED} \(8\)\)"
    with pytest.raises(InputError, match=message):
        external_part(excluded)


@pytest.mark.parametrize("names", [["there"], ["there", "yonder"]])
def test_external_parts_are_counted_by_themselves(names):
    inside = partition_of({"benign": list("abc"), "malignant": list("kl")})
    outside = [inside[inside["part"] == "test"].assign(part=EXTERNAL, database=name) for name in names]
    outside = [of.assign(patient_id=of["patient_id"] + name) for of, name in zip(outside, names)]
    counts = count_parts(pd.concat([inside, *outside]))
    assert counts["part"].tolist() == ["train", "val", "test"] + [EXTERNAL] * (1 if len(names) == 1 else 3)
    assert counts["database"].tolist() == ["all"] * 3 + (names if len(names) == 1 else ["all", *names])
    assert counts["patients"].tolist() == [5, 6, 6] + ([6] if len(names) == 1 else [12, 6, 6])


def external(skill, mix="real", fold=0, noise=None, **more):
    """A run's predictions of one external database: the same images whatever the fold."""
    frame = predictions(skill, mix, fold=9, test=EXTERNAL, **more).assign(fold=fold)
    shift = np.random.default_rng(noise).normal(size=len(frame)) if noise is not None else 0
    return frame.assign(probability=1 / (1 + np.exp(-np.log(1 / (1 / frame["probability"] - 1)) - shift)))


def test_the_patients_of_an_external_database_are_resampled_once_for_all_folds():
    """Two folds that predict the same are as uncertain as one; n counts each image once."""
    one = score(external(1.0), 500, 0)
    two = score(pd.concat([external(1.0, fold=fold) for fold in (0, 1)]), 500, 0)
    for (_, first), (_, second) in zip(one.iterrows(), two.iterrows(), strict=True):
        assert first["measure"] == second["measure"]
        assert (first["part"], first["database"]) == (EXTERNAL, "a")
        columns = ["value", "n", "n_patients"]
        np.testing.assert_allclose(second[columns].astype(float), first[columns].astype(float))
        assert (first["runs"], second["runs"]) == (1, 2)
    for measure in ("AUROC", "balanced accuracy", "Brier score"):  # of one run percentiles, of two t and no luck
        first, second = (row(scores, measure=measure) for scores in (one, two))
        assert second["high"] - second["low"] == pytest.approx(first["high"] - first["low"], rel=0.1)


def test_an_external_score_is_the_mean_over_runs_resampled_with_one_set_of_weights():
    runs = [external(1.0, fold=fold, noise=fold) for fold in (0, 1)]
    scores = score(pd.concat(runs), 4000, 0)
    runs = [decided(run).sort_values("lesion_id") for run in runs]
    patients = runs[0]["patient_id"].to_numpy(dtype=str)
    weights = draw_patients(patients, 4000, np.random.default_rng(1))
    for measure in ("AUROC", "balanced accuracy", "Brier score"):
        found, function = row(scores, measure=measure), SCORES[measure]
        shown = "calibrated" if measure == "Brier score" else "probability"
        inputs = [(run["pathology"] == "malignant", run[shown], run["probability"] >= run["Youden"]) for run in runs]
        each = [function(*of, np.ones((1, len(patients))))[0] for of in (tuple(map(np.asarray, i)) for i in inputs)]
        assert found["value"] == pytest.approx(np.mean(each))
        assert found["sd"] == pytest.approx(np.std(each, ddof=1))
        draws = np.array([[function(*map(np.asarray, of), weights) for of in inputs]])  # one set of test images
        low, high = mean_over_runs(np.array([each]), draws).interval()
        assert (found["low"], found["high"]) == pytest.approx((max(low, 0), min(high, 1)), abs=0.02)


def test_external_scores_are_paired_and_a_family_of_their_own_and_leave_the_others_as_they_are():
    names = {"real": 0.2, "sngan": 6.0, "real+sngan": 0.2}
    tested = pd.concat([predictions(skill, mix, fold=fold) for mix, skill in names.items() for fold in (0, 1)])
    outside = [
        external(skill, mix, fold=fold, database=database, n=40).query("part == @EXTERNAL")
        for mix, skill in names.items()
        for fold in (0, 1)
        for database in ("there", "yonder")
    ]
    scores = score(pd.concat([*outside, tested]), 500, 0)
    pd.testing.assert_frame_equal(scores[scores["part"] == "test"].reset_index(drop=True), score(tested, 500, 0))
    own = scores[scores["part"] == EXTERNAL]
    assert set(own["database"]) == {"all", "there", "yonder"}
    better = row(own, database="all", mix="sngan", measure="AUROC")
    assert better["p_holm"] == pytest.approx(2 * better["p"])
    assert (better["n"], better["runs"]) == (80, 2)
    assert better["difference_low"] > 0
    equal = row(own, database="there", mix="real+sngan", measure="AUROC")
    assert equal["difference"] == 0
    assert np.isnan(equal["p_holm"])


def test_the_table_and_a_sentence_say_what_holds_outside():
    config = CONFIG | {"databases": ["busi"], "external": ["phantom_ultrasound"]}
    inside = pd.concat([predictions(0.8, mix) for mix in ("real", "real+sngan", "sngan")])

    def scores_of(skill, folds=(0, 1), noise=1):
        skills = {"real": (0.2, None), "real+sngan": (skill, None), "sngan": (0.2, noise)}
        rows = [external(value, mix, fold, shift) for mix, (value, shift) in skills.items() for fold in folds]
        return score(pd.concat([inside, *rows]), 500, 0)

    scores = scores_of(6.0)
    accuracy = table_accuracy(scores)
    assert accuracy["part"].tolist() == ["test"] * 3 + ["external"] * 3
    assert accuracy["database"].tolist() == ["all"] * 3 + ["a"] * 3
    told = conclusions.outside("ultrasound", scores)
    assert told.startswith("On a (60 ROIs of 30 patients), of which no training and no choice saw any,")
    assert ", real + SNGAN (+0." in told
    assert told.endswith(") better; for the other 1 of 2 mixes with synthetic ROIs it cannot be told.")
    assert "one run" in conclusions.outside("ultrasound", scores_of(6.0, [0]))
    assert conclusions.outside("ultrasound", scores_of(6.0, noise=None)).endswith(
        ") better; 1 of 2 mixes with synthetic ROIs are shown to change it by less than 0.050."
    )
    same, unsure = scores_of(0.2, noise=None), scores_of(0.2)
    assert conclusions.outside("ultrasound", same).endswith("are shown to change it by less than 0.050 there.")
    assert conclusions.outside("ultrasound", unsure).endswith(
        "; 1 of 2 mixes with synthetic ROIs are shown to change it by less than 0.050; for the other 1 of 2 mixes with "
        "synthetic ROIs it cannot be told."
    )
    assert conclusions.outside("ultrasound", score(inside, 500, 0)) == ""
    assert conclusions.in_short("ultrasound", scores) == conclusions.in_short("ultrasound", score(inside, 500, 0))
    assert conclusions.phantoms_of(config, "ultrasound") == ["phantom_ultrasound"]
    assert "none of the clinic" in " ".join(conclusions.on_phantoms(config))


def test_the_flow_and_the_characteristics_have_a_column_for_the_external_part(tmp_path, two):
    copied(tmp_path, "here/3.png", "there/7.png")
    lesions, images = read_databases(two, ["there"])
    lesions = lesions.assign(scale=1.0, padded=0.0)
    used = lesions[lesions["excluded"] == ""]
    inside = assign_parts(used[used["database"] == "here"], folds=5, fold=0, seed=0)
    parts = pd.concat([inside, external_part(lesions[lesions["database"] == "there"])])
    none = pd.DataFrame({"first": [], "second": [], "joined": np.array([], dtype=bool)})
    flow = count_flow(images, lesions, none, {0: parts})
    counts = flow[flow["database"] == "all"].set_index("step")
    assert counts.loc[EXTERNAL, ["benign", "malignant", "patients"]].tolist() == [10, 8, 9]
    assert counts.loc["excluded", "reason"] == SHARED
    said = [text.get_text() for text in plot_flow(flow, "Ultrasound", 0).axes[0].texts]
    assert "External: 18" in said
    characteristics = characterise(used, parts, 128, 0.2).set_index("characteristic")
    assert characteristics.loc["ROIs", EXTERNAL] == "18"


def test_a_contact_sheet_says_which_databases_are_external(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr("matplotlib.figure.Figure.suptitle", lambda self, text, **_: titles.append(text))
    images = ImageSet(np.zeros((2, 8, 8)), np.array([0, 1]), ["here/a", "there/b"])
    plot_contact_sheet(images, "ultrasound", ["here"], ["there"], ["there"], tmp_path / "sheet.png")
    assert titles == ["Ultrasound ROIs: here, there (external, phantoms, not clinical data)"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"external": ["nowhere"]}, "external names nowhere, not among sources"),
        (
            {"external": ["phantom_ultrasound"]},
            "external names phantom_ultrasound, which databases names, too: .* leave it out of one of them",
        ),
        (
            {"external": ["inbreast"], "databases": ["phantom_ultrasound"]},
            "external names inbreast, but no source of mammography is among databases, .* add one, or leave it out",
        ),
        (
            {"external": ["bra"]},
            r"sources\.bra\.official_folds: an external database is in no fold: leave out official_folds",
        ),
        ({"external": ["both"]}, r"sources\.both needs either root"),
    ],
)
def test_an_external_database_that_cannot_be_one_is_refused_by_name(change, message):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["sources"]["bra"] = {"reader": "bus_bra", "modality": "ultrasound", "root": "x", "official_folds": 5}
    config["sources"]["both"] = {"reader": "udiat", "modality": "ultrasound"}
    jsonschema.validate(config | change, SCHEMA)
    with pytest.raises(InputError, match=message):
        study.check(config | change)
    study.check(config | {"external": ["bus_bra", "inbreast"]})


def test_a_database_with_official_folds_is_not_pooled_with_an_external_one():
    config = copy.deepcopy(yaml.safe_load((ROOT / "config.yaml").read_text()))
    config["sources"]["bra"] = {"reader": "bus_bra", "modality": "ultrasound", "root": "x", "official_folds": 5}
    study.check(config | {"databases": ["bra"], "external": ["phantom_ultrasound"]})


def test_the_paths_of_an_external_database_are_expanded(monkeypatch):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["sources"]["there"] = {"reader": "udiat", "modality": "ultrasound", "root": "$THERE/udiat"}
    config |= {"external": ["there"], "downloads": "databases"}
    monkeypatch.setenv("THERE", "/data")
    assert paths.plain(config, ROOT)["sources"]["there"]["root"] == "/data/udiat"
    monkeypatch.delenv("THERE")
    with pytest.raises(InputError, match=r"sources\.there\.root .* THERE is not set"):
        paths.plain(config, ROOT)


STUDY = {
    "databases": ["inside"],
    "partition": {"folds": 3},
    "folds": [0, 2],
    "generators": {"sngan": {"width": 4, "steps": 2, "batch": 4, "evaluate_every": 0}},
    "gans": ["sngan"],
    "mixes": ["real", "real+sngan"],
    "classifiers": {"resnet18": {"steps": 2, "batch": 8, "evaluate_every": 2}},
    "quality": {"extractors": ["squeezenet"]},
    "statistics": {"resamples": 100},
}


def run(folder: Path, config: dict, *targets: str) -> Path:
    folder.mkdir()
    done = snakemake(folder, *targets, study=config)
    assert done.returncode == 0, done.stdout
    return folder / "results"


@pytest.fixture(scope="module")
def studies(tmp_path_factory) -> tuple[Path, Path]:
    """The results of a study with an external database, which repeats two images of the other, and of one without it.

    Of that the data card and all that comes before the tables.
    """
    folder = tmp_path_factory.mktemp("external")
    make_phantoms("busi", {"benign": 24, "malignant": 15, "seed": 0}, folder / "inside")
    make_phantoms("busi", {"benign": 8, "malignant": 7, "seed": 5}, folder / "outside")
    for name in ("benign (3)", "malignant (4)"):
        for suffix in (".png", "_mask.png"):
            [file] = (folder / "inside").rglob(name + suffix)
            next((folder / "outside").rglob(name + suffix)).write_bytes(file.read_bytes())
    sources = {
        name: {"reader": "busi", "modality": "ultrasound", "root": str(folder / name)} for name in ("inside", "outside")
    }
    config = STUDY | {"sources": sources}
    targets = (
        "results/tables/table_quality.csv",
        "results/tables/ranks.csv",
        "results/ultrasound/curation/data_card.html",
    )
    return run(folder / "with", config | {"external": ["outside"]}), run(folder / "without", config, *targets)


def test_trainings_quality_and_scores_are_those_of_a_study_without_it(studies):
    with_it, without = studies
    kinds = ("parts.sha256", "synthetic/*/*.npz", "quality/**/*.csv", "classifiers/**/*.csv", "predictions/**/*.csv")
    files = [file.relative_to(without) for kind in kinds for file in without.glob(f"ultrasound/*/{kind}")]
    assert len(files) == 2 * (1 + 1 + 4 + 2 + 2)
    for file in files:
        if file.parts[2] == "classifiers":  # a history, with the seconds that it took
            found, expected = (pd.read_csv(folder / file).drop(columns="seconds") for folder in studies)
            pd.testing.assert_frame_equal(found, expected)
        else:
            assert (with_it / file).read_bytes() == (without / file).read_bytes(), file
    scores, expected = (pd.read_csv(folder / "tables/scores.csv") for folder in (with_it, without))
    pd.testing.assert_frame_equal(scores[scores["part"] == "test"].reset_index(drop=True), expected)
    for name in ("quality.csv", "ranks.csv", "table_quality.csv"):
        assert (with_it / "tables" / name).read_bytes() == (without / "tables" / name).read_bytes()


def test_an_external_database_is_in_every_split_predicted_by_all_and_scored(studies):
    folder = studies[0]
    images = ImageSet.load(folder / "ultrasound/external.npz")
    rois = pd.read_csv(folder / "ultrasound/rois.csv", keep_default_na=False)
    outside = rois[rois["database"] == "outside"]
    assert set(outside.loc[outside["excluded"] == SHARED, "lesion_id"]) >= {
        "outside/benign (3)",
        "outside/malignant (4)",
    }
    assert SHARED not in set(rois.loc[rois["database"] == "inside", "excluded"])
    assert set(images.ids) == set(outside.loc[outside["excluded"] == "", "lesion_id"])
    assert (folder / "ultrasound/external.sha256").read_text().endswith("  external.npz\n")
    for split in ("fold0", "fold2"):
        parts = pd.read_csv(folder / f"ultrasound/{split}/partition.csv")
        assert set(parts.loc[parts["part"] == EXTERNAL, "lesion_id"]) == set(images.ids)
        files = (folder / f"ultrasound/{split}/predictions_external/resnet18").glob("*/seed0.csv")
        found = pd.concat(map(pd.read_csv, files))
        assert (*set(found["part"]), *set(found["database"])) == (EXTERNAL, "outside")
        assert found["mix"].value_counts().to_dict() == dict.fromkeys(("real", "real+sngan"), len(images))
    scores = pd.read_csv(folder / "tables/scores.csv")
    own = scores[scores["part"] == EXTERNAL]
    assert set(own["database"]) == {"outside"}
    assert set(own.loc[own["measure"] == "AUROC", "n"]) == {len(images)}
    assert set(own["runs"]) == {2}
    counts = pd.read_csv(folder / "tables/parts.csv")
    assert counts.loc[counts["part"] == EXTERNAL, "database"].tolist() == ["outside"] * 2


def test_no_rule_that_fits_or_chooses_takes_the_external_part(studies):
    folder = studies[0].parent
    plan = snakemake(folder, "--forceall", "--dry-run", "--configfile", folder / "study.yaml").stdout
    jobs = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n    input: (.*)$", plan, re.MULTILINE)
    takers = {name: {rule for rule, given in jobs if f"/{name}" in given} for name in ("external.npz", "rois.npz")}
    assert takers["external.npz"] == {"predict_external", "count_parts"}  # which compares it with its digest
    assert takers["rois.npz"] == {"partition", "plot_contact_sheet", "set_external_apart"}


def test_the_report_and_the_data_card_say_so(studies):
    page = " ".join((studies[0] / "report/report.html").read_text().split())
    assert "On outside (" in page
    assert "outside (ultrasound, external)" in page
    assert SHARED in page
    assert '<th scope="row">external</th>' in page
    card, alone = ((folder / "ultrasound/curation/data_card.html").read_text() for folder in studies)
    assert "outside (external)" in card
    nuisances = card.partition('<section id="nuisances">')[2].partition("</section>")[0]
    assert nuisances.replace(" that are not external,", "") in alone  # they are not fitted to it
    assert "external" not in alone
