"""Both steps as a whole: complete rows, fair halves, real images near the floor, everything else above it."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from quality_for_tests import image_set, parameter_file

from mammosynth import partition
from mammosynth.arrays import distances
from mammosynth.errors import InputError
from mammosynth.imageset import ImageSet
from mammosynth.networks import NETWORKS, Network
from mammosynth.partition import HALVINGS, halves
from mammosynth.quality import assess as module
from mammosynth.quality import fidelity, measures
from mammosynth.quality.assess import Described, assess, assess_real, read
from mammosynth.quality.describe import Describer
from mammosynth.quality.fidelity import ALL
from mammosynth.quality.measures import (
    AS_INTENDED,
    HELD_OUT,
    MEASURES,
    NEAR_COPY,
    REAL,
    OfImages,
    OfPairs,
    OfSets,
    OverHeldOut,
    measures_of,
)
from mammosynth.quality.novelty import near_copies, nearest_in, units_of
from mammosynth.quality.reference import Reference
from mammosynth.quality.rows import tidy

WITHIN, SOURCE, AUTHENTIC = "MS-SSIM, within set", "SSIM, source", "AuthPct"
NEAREST = "SSIM, nearest real"


def load(weights, device):
    """Means and deviations of 16 px blocks and of the differences between neighbouring pixels: 192 features."""

    def network(images):
        grey = images[:, 0].float()
        blocks = grey.unfold(1, 16, 16).unfold(2, 16, 16)
        step = (grey[:, :, 1:] - grey[:, :, :-1]).unfold(1, 16, 16).unfold(2, 15, 16)
        parts = [blocks.mean((3, 4)), blocks.std((3, 4)), step.std((3, 4))]
        return torch.cat([part.flatten(1) for part in parts], 1)

    return network


@pytest.fixture(autouse=True, scope="module")
def toy():
    """A quick network, a quick measure of single images, which flat images have not, and fewer pairs."""
    single = OfImages("spread", f"{__name__}:spread", better="nearest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "toy", Network("toy", 192, {}, __name__))
        patch.setattr(measures, "MEASURES", [single, *(m for m in MEASURES if "naturalness" not in m.function)])
        patch.setattr(module, "PAIRS", 30)
        yield


def spread(images):
    values = images.std((1, 2))
    return np.where(values > 0, values, np.nan)


SMALL = {"resamples": 200}


@pytest.fixture(scope="module")
def describer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("described")
    (folder / "weights").write_text("")
    return Describer(["toy"], {"toy": folder / "weights"}, classify, folder / "kept")


@pytest.fixture(scope="module")
def train():
    return image_set(44, 20, seed=1, per_patient=2)


@pytest.fixture(scope="module")
def others():
    return image_set(30, 30, seed=2)


def classify(images):
    """A classifier that takes bright images for malignant ones."""
    return images.mean((1, 2)) / 255


class Real:
    """The real sets of a split, described and assessed."""

    def __init__(self, train, describer, held_out=None):
        self.describer, self.images = describer, train
        held_out = image_set(20, 20, 9, 2) if held_out is None else held_out
        table, self.reference = describer.real(train, held_out)
        tables = {name: own.reset_index() for name, own in table.groupby("generator")}
        self.train = Described(train, tables[REAL], self.reference.features)
        self.held_out = Described(held_out, tables[HELD_OUT])
        self.rows, self.floor = assess_real(self.train, self.held_out, **SMALL)

    def judge_each(self, synthetic):
        table, features = self.describer.synthetic("gan", synthetic, self.images, self.reference)
        described = Described(synthetic, table, features)
        return assess("gan", described, self.train, self.held_out, self.floor, **SMALL), table

    def judge(self, synthetic):
        return self.judge_each(synthetic)[0]


@pytest.fixture(scope="module")
def real(toy, train, describer):
    return Real(train, describer)


@pytest.fixture(scope="module")
def judged(others, real):
    return real.judge(others)


def value(rows, measure, pathology=ALL, generator="gan", column="value"):
    (found,) = rows.query("generator == @generator and measure == @measure and pathology == @pathology")[column]
    return found


FIDELITY = {f"{measure.name} (toy)" for measure in measures_of(OfSets)}
MEANS = {*(measure.name for measure in measures_of(OfPairs)), "spread"} - {SOURCE}
SINGLE = {AS_INTENDED, NEAR_COPY, AUTHENTIC}
NEAREST_TRAINING = {measure.name for measure in measures_of(OverHeldOut)}


def test_rows_are_complete(real, judged):
    rows = pd.concat([real.rows, judged])
    for generator, expected in (
        ("floor", FIDELITY),
        ("real", MEANS),
        (HELD_OUT, {"spread", *SINGLE}),
        ("gan", FIDELITY | MEANS | {"floor/FD (toy)", *SINGLE, *NEAREST_TRAINING}),
    ):
        found = rows[rows["generator"] == generator]
        for pathology in ("benign", "malignant", ALL):
            assert sorted(found.loc[found["pathology"] == pathology, "measure"]) == sorted(expected)
    assert rows["value"].notna().all()
    assert rows["low"].notna().mean() > 0.9  # not where all resamples agree
    assert not (rows["low"] >= rows["high"]).any()
    assert (rows["failures"] == 0).all()


def test_generator_and_floor_are_measured_at_one_size(real, judged):
    rows = pd.concat([real.rows, judged])
    sizes = rows[rows["measure"] == "FD (toy)"].set_index(["generator", "pathology"])[["n", "n_reference"]]
    assert (sizes["n"] == sizes["n_reference"]).all()
    for pathology in ("benign", "malignant", ALL):
        assert sizes.loc[("gan", pathology), "n"] == sizes.loc[("floor", pathology), "n"]
    assert sizes.loc[("gan", "benign"), "n"] == 22
    assert value(rows, WITHIN, "benign", column="n") == 30  # of 30 benign images; of 30 malignant as many as are real
    assert value(rows, WITHIN, "malignant", column="n") == 20


def test_halves_share_no_patient(train):
    split = halves(train, np.random.default_rng(0))
    for label, pathology in enumerate(("benign", "malignant")):
        assert (train.labels[split[pathology]] == label).all()
    for halving in range(HALVINGS):
        first, second = (np.concatenate([split[name][halving, side] for name in split]) for side in (0, 1))
        assert not set(train.patients[first]) & set(train.patients[second])
        assert len(set(first)) == len(first) == len(second) == 32
    assert len({tuple(sorted(split["benign"][h, 0])) for h in range(HALVINGS)}) > 0.75 * HALVINGS


def test_halves_of_patients_with_many_images_and_both_classes():
    labels = np.array([0, 1] * 12 + [0] * 6)
    patients = np.array(["many"] * 8 + [f"p{i // 2}" for i in range(22)])
    images = ImageSet(np.zeros((30, 8, 8)), labels, np.arange(30).astype(str), patients)
    for positions in halves(images, np.random.default_rng(0)).values():
        assert positions.shape[2] >= 4


def test_halves_of_a_large_training_part_are_thinned_and_all_of_it_takes_its_turn(train, monkeypatch):
    monkeypatch.setattr(partition, "LARGEST", 16)
    split = halves(train, np.random.default_rng(0))
    sizes = {pathology: positions.shape for pathology, positions in split.items()}
    assert sizes == {"benign": (HALVINGS, 2, 11), "malignant": (HALVINGS, 2, 5)}, "16 of 22 + 10, in proportion"
    for halving in range(HALVINGS):
        first, second = (np.concatenate([split[name][halving, side] for name in split]) for side in (0, 1))
        assert not set(train.patients[first]) & set(train.patients[second])
        assert len({*first, *second}) == 32
    for side in (0, 1):
        taken = np.concatenate([positions[:, side].ravel() for positions in split.values()])
        assert set(taken) == set(range(64)), "each side has every image in some halving"
    again, other = (halves(train, np.random.default_rng(seed)) for seed in (0, 1))
    assert all((again[name] == split[name]).all() for name in split)
    assert not (other["benign"] == split["benign"]).all()


def test_rows_say_the_size_of_thinned_halves(train, others, describer, monkeypatch):
    monkeypatch.setattr(partition, "LARGEST", 16)
    real = Real(train, describer)
    rows = pd.concat([real.rows, real.judge(others)])
    sizes = rows[rows["measure"] == "FD (toy)"].set_index(["generator", "pathology"])[["n", "n_reference"]]
    for generator in ("floor", "gan"):
        for pathology, size in (("benign", 11), ("malignant", 5), (ALL, 16)):
            assert sizes.loc[(generator, pathology)].tolist() == [size, size]
    assert value(rows, WITHIN, "benign", column="n") == 30, "only fidelity is thinned"


def test_a_rare_class_is_never_thinned_away(monkeypatch):
    monkeypatch.setattr(partition, "LARGEST", 10)
    assert halves(image_set(196, 4, per_patient=1), np.random.default_rng(0))["malignant"].shape == (HALVINGS, 2, 2)


def test_other_real_images_reach_the_floor_and_worse_ones_do_not(train, others, real, judged):
    noise = np.random.default_rng(0).normal(size=others.images.shape)
    worse = (np.clip(others.images + sigma * noise, 0, 255) for sigma in (15, 60))
    judged = [judged, *(real.judge(ImageSet(images, others.labels, others.ids)) for images in worse)]
    assert value(judged[0], "floor/FD (toy)") == pytest.approx(1, abs=0.25)
    for measure, rising in (("FD (toy)", True), ("KD (toy)", True), ("floor/FD (toy)", False)):
        values = [value(rows, measure) for rows in judged]
        assert values == sorted(values, reverse=not rising), measure
    floor = value(real.rows, "FD (toy)", generator="floor")
    assert value(judged[2], "floor/FD (toy)") == pytest.approx(floor / value(judged[2], "FD (toy)"))


def test_collapse_shows_as_likeness_within_the_set_and_lost_recall(train, others, real, judged):
    repeated = np.concatenate([np.repeat(others.images[:1], 30, 0), np.repeat(others.images[30:31], 30, 0)])
    collapsed = real.judge(ImageSet(repeated, others.labels, others.ids))
    assert value(collapsed, WITHIN) == pytest.approx(1)
    assert value(real.rows, WITHIN, generator="real") < 0.5
    assert value(collapsed, "recall (toy)") < 0.2
    assert value(collapsed, "FD (toy)") > value(judged, "FD (toy)")


def test_copies_of_training_images_are_their_own_nearest_reals(train, real):
    copies = ImageSet(train.images, train.labels, np.char.add("copy ", train.ids))
    rows = real.judge(copies)
    assert value(rows, NEAREST) == pytest.approx(1)
    assert value(rows, AUTHENTIC) == 0
    assert value(rows, "nearest training ROI, median to held-out's") == pytest.approx(0, abs=1e-6)


def test_another_image_of_the_same_patient_is_no_neighbour(describer):
    """Each patient's two images are the same picture: neither floor nor nearest may see that."""
    once = image_set(16, 16, seed=3)
    twice = ImageSet(*(np.repeat(a, 2, axis=0) for a in (once.images, once.labels)), np.arange(64).astype(str))
    twice.patients = np.repeat(np.arange(32).astype(str), 2)
    rows = Real(twice, describer).rows
    assert value(rows, NEAREST, generator="real") < 0.9
    assert value(rows, "FD (toy)", generator="floor") > 0


def test_translations_belong_to_the_patients_of_their_sources(train):
    synthetic = ImageSet(train.images[:3], train.labels[:3], np.array(["a", "b", "c"]), None, [*train.ids[:2], ""])
    units = units_of("gan", synthetic, train)
    assert units[:2].tolist() == train.patients[:2].tolist()
    assert units[2] not in train.patients


def test_a_source_that_is_not_in_the_training_part(train, others, real):
    stray = ImageSet(others.images, others.labels, others.ids, None, np.full(60, "elsewhere"))
    with pytest.raises(InputError, match="gan has translations of elsewhere"):
        real.judge(stray)


def identity(train):
    """What a translator gives that changes nothing: real images as of the other class; each comes again, mirrored."""
    names = np.concatenate([np.char.add(f"{turn} ", train.ids) for turn in ("plain", "mirrored")])
    images = np.concatenate([train.images, train.images[:, :, ::-1]])
    return ImageSet(images, 1 - np.tile(train.labels, 2), names, None, np.tile(train.ids, 2))


def test_a_copy_of_its_source_shows(train, others, real, judged):
    rows = real.judge(identity(train))
    for pathology in ("benign", "malignant", ALL):
        assert value(rows, SOURCE, pathology) == pytest.approx(1)
    assert value(rows, NEAREST) < 0.9
    assert SOURCE not in set(judged["measure"]) | set(real.rows["measure"])


def test_likeness_to_the_source_varies_by_its_patients(train, real):
    copies = identity(train)
    noise = np.random.default_rng(0).normal(size=copies.images.shape)
    units = units_of("gan", copies, train)
    far = np.array([unit[-1] in "13579" for unit in units])
    copies.images = np.clip(copies.images + np.where(far, 60, 20)[:, None, None] * noise, 0, 255).astype(np.uint8)
    rows = real.judge(copies)
    low, high = (value(rows, SOURCE, "malignant", column=column) for column in ("low", "high"))
    assert low < value(rows, SOURCE, "malignant") < high < 0.99
    table, features = real.describer.synthetic("gan", copies, train, real.reference)
    samples = module._of_pairs(Described(copies, table, features), units, real.train, np.random.default_rng(0))
    sample = samples[SOURCE]["malignant"]
    alone = module._Sample(sample.values, np.arange(len(sample.values))[:, None], 0, 0)
    spreads = [np.std(s.replicates(1000, np.random.default_rng(0))) for s in (sample, alone)]
    assert spreads[0] > 1.5 * spreads[1], "four images of each patient are not four patients"


def test_a_translator_that_changes_nothing_is_not_nearer_than_other_patients(describer):
    """Pooled, its images are the training part's own, in part those that the reference half holds."""
    train = image_set(32, 32, seed=6, per_patient=2)
    real = Real(train, describer)
    judged = real.judge(identity(train))
    assert value(judged, "floor/FD (toy)") < 1.1
    assert value(judged, "FD (toy)") > 0.9 * value(real.rows, "FD (toy)", generator="floor")
    unnamed = identity(train)
    unnamed.sources[:] = ""
    assert value(real.judge(unnamed), "floor/FD (toy)") > 1.25


def test_no_translation_meets_the_patient_of_its_source(train, real):
    plain = identity(train)[:64]
    units = units_of("gan", plain, train)
    sides = fidelity.draw_sides("gan", plain, units, train, real.floor, np.random.default_rng(0))
    for halving, side in product(range(HALVINGS), (0, 1)):
        half = np.concatenate([positions[halving, side] for positions in real.floor.halves.values()])
        for pathology, label in (("benign", 0), ("malignant", 1)):
            drawn, other = (draws[pathology][halving] for draws in (sides.first, sides.second)[:: 1 - 2 * side])
            assert (plain.labels[drawn] == label).all()
            assert not set(units[drawn]) & set(train.patients[half])
            assert not set(drawn) & set(other)
            assert 2 <= len(drawn) <= real.floor.halves[pathology].shape[2]


def test_fewer_translations_than_the_floor_has_images_meet_a_floor_of_as_few(describer):
    train = image_set(40, 24, seed=7, per_patient=2)
    real = Real(train, describer)
    few = identity(train)[:64]  # of each malignant source one benign image: 24, and half of them free
    rows = real.judge(few)
    assert value(rows, "FD (toy)", "benign", column="n_reference") == 20
    assert value(rows, "FD (toy)", "benign", column="n") <= 12
    assert value(rows, "floor/FD (toy)", "benign") == pytest.approx(1, abs=0.1)
    assert value(rows, "FD (toy)", "benign") > 1.1 * real.floor.values["toy", "benign", "FD"].mean()


def test_the_table_of_images_tells_its_nearest_again(train, others, real):
    _, each = real.judge_each(others)
    nearest = nearest_in(each[::-1], others, train)
    assert train.ids[nearest.by_features].tolist() == each["nearest_by_features"].tolist()
    assert (near_copies(nearest, real.reference.limits) == each[NEAR_COPY]).all()


def test_a_copier_is_told_from_a_generator(train, others, real, judged):
    """Every third image a training ROI, mirrored and darker, under the other label."""
    images, ids = others.images.copy(), others.ids
    copied = np.arange(60) % 3 == 0
    images[copied] = 0.9 * train.images[:20, :, ::-1]
    rows, each = real.judge_each(ImageSet(images, others.labels, ids))
    each = each.set_index("id").loc[ids.tolist()]
    assert (each[NEAR_COPY] == copied).all()
    assert each.loc[copied, "nearest_by_correlation"].tolist() == train.ids[:20].tolist()
    assert value(rows, NEAR_COPY, "benign") == pytest.approx(1 / 3)
    assert value(judged, NEAR_COPY) == value(real.rows, NEAR_COPY, generator=HELD_OUT) == 0


def test_labels_are_judged_at_the_threshold_of_held_out_reals(train, others, real):
    threshold = real.reference.threshold
    rows, images = real.judge_each(others)
    images = images.set_index("id")
    assert images["probability"].to_dict() == pytest.approx(dict(zip(others.ids, classify(others.images))))
    bright = classify(others.images) >= threshold
    for label, pathology in enumerate(("benign", "malignant")):
        share = np.mean(bright[others.labels == label] == label)
        if pathology == "benign":  # of 30 malignant images as many as there are real ones are taken
            assert value(rows, AS_INTENDED, pathology) == pytest.approx(share)
        judged = images.loc[images["pathology"] == pathology, AS_INTENDED]
        assert judged.mean() == pytest.approx(share)
    swapped = ImageSet(others.images, 1 - others.labels, others.ids)
    _, other_way = real.judge_each(swapped)
    assert (other_way.set_index("id")[AS_INTENDED] == 1 - images[AS_INTENDED]).all()


def test_pooled_values_have_the_class_proportions_of_the_training_part(train, real, judged):
    by_hand = (44 * value(judged, "spread", "benign") + 20 * value(judged, "spread", "malignant")) / 64
    assert value(judged, "spread") == pytest.approx(by_hand)
    plain = value(real.rows, "spread", generator="real")
    assert plain == pytest.approx(spread(train.images).mean())


def test_images_without_a_value_are_counted_and_sink_nothing(train, others, real):
    images = others.images.copy()
    images[:4] = 0
    images[30:] = 77
    rows = real.judge(ImageSet(images, others.labels, others.ids))
    assert value(rows, "spread", "benign", column="failures") == 4
    assert value(rows, "spread", "malignant", column="failures") == 20
    assert np.isfinite(value(rows, "spread", "benign"))
    assert np.isnan(value(rows, "spread", "malignant"))
    assert np.isfinite(value(rows, "FD (toy)"))


def test_intervals_cover_the_value_and_are_as_wide_as_a_mean_varies(others, judged):
    means = judged[judged["measure"].isin(MEANS)]
    assert ((means["low"] < means["value"]) & (means["value"] < means["high"])).all()
    sample = spread(others.images[:30])
    width = value(judged, "spread", "benign", column="high") - value(judged, "spread", "benign", column="low")
    assert width == pytest.approx(2 * 1.96 * sample.std(ddof=1) / np.sqrt(30), rel=0.35)


def test_the_same_seed_gives_the_same_rows(train, others, real, judged, describer):
    again = Real(train, describer)
    pd.testing.assert_frame_equal(again.rows, real.rows)
    pd.testing.assert_frame_equal(again.judge(others), judged)


def test_files_between_the_steps_change_nothing(train, others, real, judged, tmp_path):
    train.save(tmp_path / "train.npz")
    others.save(tmp_path / "gan.npz")
    real.reference.save(tmp_path / "reference.npz")
    reference = Reference.load(tmp_path / "reference.npz")
    table, features = real.describer.synthetic("gan", others, train, reference)
    tidy(real.train.table[::-1], "ultrasound", "fold0").to_csv(tmp_path / "real_images.csv", index=False)
    tidy(table[::-1], "ultrasound", "fold0", 0).to_csv(tmp_path / "images.csv", index=False)
    again = read(REAL, tmp_path / "train.npz", tmp_path / "real_images.csv", reference.features)
    rows, floor = assess_real(again, real.held_out, **SMALL)
    pd.testing.assert_frame_equal(rows, real.rows, rtol=0, atol=0)
    synthetic = read("gan", tmp_path / "gan.npz", tmp_path / "images.csv", features)
    rows = assess("gan", synthetic, again, real.held_out, floor, **SMALL)
    pd.testing.assert_frame_equal(rows, judged, rtol=0, atol=0)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_reference_that_is_not_whole_is_named(real, share, tmp_path):
    real.reference.save(tmp_path / "reference.npz")
    content = (tmp_path / "reference.npz").read_bytes()
    (tmp_path / "reference.npz").write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"reference\.npz is no whole file of arrays .*: delete it and run again"):
        Reference.load(tmp_path / "reference.npz")


def test_a_reference_without_what_a_later_version_needs_is_refused(tmp_path):
    np.savez(tmp_path / "reference.npz", correlation=0.9, relative_distance=0.5)
    with pytest.raises(InputError, match="of another version of mammosynth"):
        Reference.load(tmp_path / "reference.npz")


@pytest.mark.parametrize("dose", [0.5, 1, 1.5, 2, 8])
def test_the_number_of_images_that_are_compared_does_not_depend_on_how_many_there_are(real, dose):
    many = image_set(round(22 * dose), max(10, round(10 * dose)), seed=8)
    if dose < 1:
        with pytest.raises(InputError, match="gan has 11 benign images, and fidelity needs 22"):
            real.judge(many)
        return
    rows = real.judge(many)
    assert (value(rows, "FD (toy)", "benign", column="n"), value(rows, "FD (toy)", column="n")) == (22, 32)
    distance = rows[rows["measure"] == "FD (toy)"]
    assert (distance["low"] < distance["value"]).all()
    assert (distance["value"] < distance["high"]).all()


def test_blocks_change_nothing(train, others, real, judged, describer, monkeypatch):
    monkeypatch.setattr(distances, "PAIRS", 500)
    again = Real(train, describer)
    pd.testing.assert_frame_equal(again.rows, real.rows)
    pd.testing.assert_frame_equal(again.judge(others), judged)


def test_too_few_synthetic_images_of_a_class(others, real):
    with pytest.raises(InputError, match="gan has 5 malignant images, and fidelity needs 10"):
        real.judge(others[:35])


def test_too_few_patients_of_a_class(train, describer):
    with pytest.raises(InputError, match=r"malignant ROIs \(3 of 2 patients\)"):
        Real(train[:47], describer)


def test_small_classes_have_distances_but_no_precision(train, describer):
    rows = Real(train[:50], describer).rows
    assert np.isfinite(value(rows, "FD (toy)", "malignant", "floor"))
    assert np.isnan(value(rows, "precision (toy)", "malignant", "floor"))


def test_tidy_rows_say_where_they_are_from(real):
    rows = tidy(real.rows, "ultrasound", "fold0")
    expected = ["modality", "split", "generator", "seed", "pathology", "measure", "value", "low", "high"]
    assert [*rows.columns] == [*expected, "n", "n_reference", "failures"]


def test_the_real_thing_end_to_end(tmp_path, monkeypatch):
    """With a shipped network and the measures of single images, on a few images, one of them flat."""
    monkeypatch.setattr(measures, "MEASURES", MEASURES)
    parameters = {name: parameter_file(name) for name in ("niqe", "brisque", "squeezenet")}
    train, synthetic = image_set(12, 12, seed=4, per_patient=1), image_set(12, 12, seed=5)
    synthetic.images[0] = 100
    describer = Describer(["squeezenet"], parameters, classify, tmp_path)
    judged = Real(train, describer, image_set(8, 8, seed=6, per_patient=1)).judge(synthetic)
    assert {"FD (SqueezeNet 1.1)", "NIQE", "BRISQUE", "PIQE"} <= set(judged["measure"])
    for measure in ("NIQE", "BRISQUE", "PIQE"):
        assert value(judged, measure, column="failures") == 1
    assert judged["value"].notna().all()
