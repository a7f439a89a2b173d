"""Novelty: copies are found whatever was done to them, other images are not, and the verdict knows what it can tell."""

from dataclasses import astuple

import numpy as np
import pytest
from quality_for_tests import textures
from scipy.ndimage import gaussian_filter, shift
from scipy.stats import beta

from mammosynth.arrays.likeness import correlate
from mammosynth.errors import InputError
from mammosynth.quality.novelty import (
    Nearest,
    authentic,
    distance_ratio,
    find_nearest,
    judge,
    limits,
    near_copies,
)

TRAIN, REALS, OTHERS = textures(60, 1), textures(40, 2), textures(200, 3)
PATIENTS = np.array([f"patient {i // 2}" for i in range(len(TRAIN))])


def describe(images):
    """Features that a network might have: means and deviations of 16 px blocks."""
    blocks = images.reshape(len(images), 8, 16, 8, 16).astype(float)
    return np.concatenate([blocks.mean((2, 4)).reshape(-1, 64), blocks.std((2, 4)).reshape(-1, 64)], 1)


def nearest_of(images, units=None, train=TRAIN, patients=PATIENTS, found=None):
    units = np.full(len(images), "") if units is None else units
    return find_nearest(images, describe(images) if found is None else found, units, train, describe(train), patients)


@pytest.fixture(scope="module")
def limit():
    return limits(nearest_of(TRAIN, PATIENTS))


def flagged(images, limit):
    return near_copies(nearest_of(images), limit)


def grey(images):
    return np.clip(np.round(images), 0, 255).astype(np.uint8)


def moved(images, by):
    return grey(np.stack([shift(image.astype(float), by, order=1, mode="reflect") for image in images]))


CHANGES = {
    "exact": lambda x: x,
    "mirrored": lambda x: x[:, :, ::-1],
    "shifted": lambda x: moved(x, (2, -2)),
    "shifted by 5 px": lambda x: moved(x, (0, 5)),
    "brighter": lambda x: grey(x + 25.0),
    "less contrast": lambda x: grey(0.7 * (x - 128.0) + 128),
    "noisy": lambda x: grey(x + np.random.default_rng(0).normal(0, 8, x.shape)),
    "blurred": lambda x: grey(gaussian_filter(x.astype(float), (0, 1, 1))),
    "all of it": lambda x: grey(0.85 * gaussian_filter(moved(x[:, :, ::-1], (3, 3)) + 0.0, (0, 0.7, 0.7)) + 10),
}


@pytest.mark.parametrize("change", CHANGES)
def test_near_copies_of_each_kind_are_found_with_their_originals(change, limit):
    nearest = nearest_of(CHANGES[change](TRAIN))
    assert near_copies(nearest, limit).all()
    np.testing.assert_array_equal(nearest.by_correlation, np.arange(len(TRAIN)))
    assert nearest.correlation.min() > 0.8


def test_other_images_are_no_copies(limit):
    for images in (REALS, OTHERS):
        assert flagged(images, limit).mean() <= 0.01
    noise = np.random.default_rng(0).integers(0, 256, (50, 128, 128)).astype(np.uint8)
    assert not flagged(noise, limit).any()


def test_a_turned_copy_that_pixels_lose_is_found_by_both_measures_together():
    reals = Nearest(*(np.linspace(low, high, 41) for low, high in ((0, 40), (4, 6), (0.7, 0.9), (40, 0), (0.3, 0.5))))
    limit = limits(reals)
    found = Nearest(
        by_features=np.array([7, 7, 7]),
        distance=np.full(3, 2.0),
        relative_distance=np.array([0.35, 0.35, 0.8]),
        by_correlation=np.array([7, 8, 7]),
        correlation=np.full(3, 0.45),
    )
    assert near_copies(found, limit).tolist() == [True, False, False]


def test_limits_are_tukeys_fences():
    z = np.array([0.0, 0.1, 0.2, 0.3, 0.4] * 2)  # quartiles 0.1 and 0.3
    unused = np.zeros(10)
    limit = limits(Nearest(unused, unused, np.exp(z - 2), unused, np.tanh(z)))
    assert limit.correlation == pytest.approx(np.tanh(0.3 + 3 * 0.2))
    assert limit.relative_distance == pytest.approx(np.exp(0.1 - 2 - 1.5 * 0.2))


def test_copies_among_the_real_images_hardly_move_the_limits(limit):
    reals = np.concatenate([TRAIN[:8], REALS])
    with_copies, without = limits(nearest_of(reals)), limits(nearest_of(REALS))
    assert with_copies.correlation < without.correlation + 0.25
    assert near_copies(nearest_of(reals), with_copies).tolist() == [True] * 8 + [False] * 40


def test_limits_want_enough_real_images():
    with pytest.raises(InputError, match="7 real ROIs are too few"):
        limits(nearest_of(REALS[:7]))


def test_the_own_unit_is_left_out():
    nearest = nearest_of(TRAIN, PATIENTS)
    assert (PATIENTS[nearest.by_features] != PATIENTS).all()
    assert (PATIENTS[nearest.by_correlation] != PATIENTS).all()
    assert nearest.distance.min() > 1
    assert nearest.correlation.max() < 0.9
    with pytest.raises(ValueError, match="no training ROI of another unit"):
        nearest_of(TRAIN[:2], PATIENTS[:2], TRAIN[:2], PATIENTS[:2])


def test_distances_by_hand():
    train_found = np.array([[0.0, 0], [3, 0], [0, 4], [6, 8]])
    units, train_units = np.array(["a", ""]), np.array(["a", "b", "c", "c"])
    found = np.zeros((2, 2))
    nearest = find_nearest(OTHERS[:2], found, units, TRAIN[:4], train_found, train_units)
    assert nearest.by_features.tolist() == [1, 0]
    np.testing.assert_allclose(nearest.distance, [3, 0])
    np.testing.assert_allclose(nearest.relative_distance, [3 / np.mean([4, 10]), 0])


def test_a_distance_is_relative_to_the_next_fifty():
    train_found = np.arange(1.0, 61)[:, None]
    nearest = nearest_of(OTHERS[:1], found=np.zeros((1, 128)), train=TRAIN)
    assert 0 < nearest.relative_distance[0] < 1
    found = find_nearest(OTHERS[:1], np.zeros((1, 1)), np.array([""]), TRAIN, train_found, PATIENTS)
    assert found.relative_distance[0] == pytest.approx(1 / np.mean(np.arange(2, 52)))


def test_order_does_not_matter():
    rng = np.random.default_rng(0)
    images = np.concatenate([OTHERS[:20], CHANGES["noisy"](TRAIN[:5])])
    rows, columns = rng.permutation(len(images)), rng.permutation(len(TRAIN))
    plain = nearest_of(images)
    mixed = nearest_of(images[rows], train=TRAIN[columns], patients=PATIENTS[columns])
    for field in ("distance", "relative_distance", "correlation"):
        np.testing.assert_allclose(getattr(mixed, field), getattr(plain, field)[rows], atol=1e-5)
    for field in ("by_features", "by_correlation"):
        np.testing.assert_array_equal(columns[getattr(mixed, field)], getattr(plain, field)[rows])


def test_batches_do_not_matter(monkeypatch):
    """Of images, and of the training ROIs that they are compared with; here those themselves, to leave out units."""
    whole = nearest_of(TRAIN, PATIENTS)
    monkeypatch.setattr("mammosynth.arrays.likeness.BATCH", 7)
    monkeypatch.setattr("mammosynth.arrays.distances.PAIRS", 100)
    for parts, at_once in zip(astuple(nearest_of(TRAIN, PATIENTS)), astuple(whole)):
        np.testing.assert_allclose(parts, at_once, atol=1e-5)


def test_correlation_is_symmetric_about_its_extremes():
    values = correlate(TRAIN[:4], TRAIN[:4])
    np.testing.assert_allclose(np.diag(values), 1, atol=1e-5)
    assert values.max() <= 1 + 1e-5
    np.testing.assert_allclose(correlate(TRAIN[:4], TRAIN[:4, :, ::-1]), values, atol=1e-5)
    negative = correlate(255 - TRAIN[:4], TRAIN[:4])
    assert np.diag(negative).max() < 0.6  # a negative is no copy


def test_a_strong_edge_that_images_share_makes_no_copies_of_them():
    films = grey(0.15 * TRAIN[:20] + 60.0)
    films[:, :, :12] = 240
    values = correlate(films, films)
    np.testing.assert_allclose(np.diag(values), 1, atol=1e-5)
    assert np.median(values[~np.eye(20, dtype=bool)]) < 0.6


@pytest.mark.parametrize("shape", [(64, 64), (128, 96), (256, 256), (8, 8)])
def test_images_of_any_size_correlate(shape):
    x = grey(gaussian_filter(np.random.default_rng(0).normal(size=(6, *shape)), (0, 1, 1)) * 300 + 128)
    values = correlate(x, x[:, :, ::-1])
    np.testing.assert_allclose(np.diag(values), 1, atol=1e-4)
    assert values[~np.eye(6, dtype=bool)].max() < 0.95


def test_degenerate_images_have_defined_values(limit):
    flat = np.stack([np.full((128, 128), level, np.uint8) for level in (0, 1, 90, 255)])
    ramp = np.tile(np.arange(128, dtype=np.uint8), (1, 128, 1))
    images = np.concatenate([flat, ramp])
    nearest = nearest_of(images)
    for values in astuple(nearest):
        assert np.isfinite(values).all()
    assert (nearest.correlation[:4] == 0).all()
    assert not near_copies(nearest, limit)[:4].any()
    assert (correlate(flat, flat) == 0).all()
    among = nearest_of(images, train=np.concatenate([TRAIN, flat[:1]]), patients=np.append(PATIENTS, "flat"))
    assert all(np.isfinite(values).all() for values in astuple(among))
    assert among.distance[0] == among.relative_distance[0] == 0


def test_images_without_structure_are_no_copies_of_the_first_training_roi(limit):
    """They correlate with none, so that the first one is as near in pixels as any, which says nothing."""
    flat = np.full((2, 128, 128), 90, np.uint8)
    nearest = nearest_of(flat, train=np.concatenate([flat[:1], TRAIN]), patients=np.append("flat", PATIENTS))
    assert (nearest.by_features == 0).all()
    assert not near_copies(nearest, limit).any()


def test_a_training_set_of_equal_images_has_no_relative_distance():
    same = np.repeat(TRAIN[:1], 5, axis=0)
    nearest = nearest_of(same, train=same, patients=np.array(list("abcde")))
    assert (nearest.relative_distance == 1).all()


def test_no_images_have_no_neighbours(limit):
    nearest = nearest_of(OTHERS[:0])
    assert all(len(values) == 0 for values in astuple(nearest))
    assert near_copies(nearest, limit).tolist() == []
    verdict = judge(np.zeros(0, bool), np.zeros(32, bool))
    assert not verdict.memorising
    assert np.isnan(verdict.share)
    assert verdict.unseen == 1


def test_images_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="crop all alike"):
        nearest_of(np.zeros((2, 64, 64), np.uint8), found=np.zeros((2, 128)))


@pytest.mark.parametrize("change", ["exact", "noisy", "all of it"])
def test_a_copier_is_marked_and_an_honest_generator_is_not(change, limit):
    held_out = flagged(REALS[:32], limit)
    copies = CHANGES[change](TRAIN)
    tenth = np.concatenate([OTHERS[:180], copies[:20]])
    assert judge(flagged(copies, limit), held_out).memorising
    verdict = judge(flagged(tenth, limit), held_out)
    assert verdict.memorising
    assert verdict.share == pytest.approx(0.1, abs=0.01)
    assert "held-out" in verdict.reason
    assert not judge(flagged(OTHERS, limit), held_out).memorising


@pytest.mark.parametrize("n", [100, 200, 300, 1000])
@pytest.mark.parametrize("held_out", [0, 32, 200])
def test_a_tenth_of_copies_is_marked_nearly_always_and_chance_nearly_never(n, held_out):
    rng, held_out = np.random.default_rng(0), np.zeros(held_out, bool)
    for share, expected in ((0.1, True), (0.005, False)):
        marked = [judge(rng.random(n) < share, held_out).memorising is expected for _ in range(100)]
        assert np.mean(marked) > 0.9


def test_what_goes_unseen_is_marked_19_times_of_20():
    rng, held_out = np.random.default_rng(0), np.zeros(32, bool)
    for n in (32, 300):
        unseen = judge(np.zeros(n, bool), held_out).unseen
        marked = np.mean([judge(rng.random(n) < unseen, held_out).memorising for _ in range(500)])
        assert marked == pytest.approx(0.95, abs=0.03)
    assert judge(np.zeros(32, bool), held_out).unseen > judge(np.zeros(300, bool), held_out).unseen > 0.02


@pytest.mark.parametrize(("trainings", "images"), [(15, 400), (75, 400), (75, 150), (375, 1000)])
def test_of_honest_studies_few_mark_a_gan_however_many_trainings_they_have(trainings, images):
    """1.6 % of near copies, as many as real ROIs of other patients reach: 70 % of studies of 75 marked one before."""
    rng, held_out = np.random.default_rng(0), np.arange(300) < 5
    verdict = [judge(np.arange(images) < copies, held_out, trainings).memorising for copies in range(images + 1)]
    found = rng.binomial(images, 0.016, (2000, trainings))
    assert np.mean(np.array(verdict)[found].any(axis=1)) <= 0.05
    assert np.mean(np.array(verdict)[rng.binomial(images, 0.02, (2000, trainings))].any(axis=1)) <= 0.05
    assert np.mean(np.array(verdict)[rng.binomial(images, 0.12, 2000)]) > 0.95, "one training with 12 % of copies"


def test_the_verdict_on_one_training_is_that_of_its_exact_interval():
    for n in (5, 32, 300):
        for found in range(n + 1):
            verdict = judge(np.arange(n) < found, np.zeros(32, bool))
            assert verdict.memorising == (verdict.low > 0.02)
    verdict = judge(np.arange(300) < 30, np.zeros(32, bool))
    # by hand: the shares at which 30 or more, and 30 or fewer, of 300 have a chance of 2.5 %
    assert (verdict.low, verdict.high) == pytest.approx((beta.ppf(0.025, 30, 271), beta.ppf(0.975, 31, 270)))
    assert verdict.reason == (
        "30 of 300 (10.0 %) synthetic images (95 % CI 6.8 % to 14.0 %) and 0 of 32 (0.0 %) held-out real ROIs are near "
        "copies of training ROIs: certainly more than 2.0 %."
    )


def test_held_out_copies_raise_the_bar_only_if_they_are_certain():
    copies = np.arange(300) < 20
    assert judge(copies, np.arange(32) < 1).memorising
    many = judge(copies, np.arange(200) < 40)
    assert not many.memorising
    assert "lesions may be among the training ROIs" in many.reason
    assert judge(np.ones(300, bool), np.arange(200) < 40).memorising


def test_authenticity_by_hand():
    train_found = np.array([[0.0], [1.0], [5.0], [9.0]])  # to the nearest other: 1, 1, 4, 4
    found = np.array([[-0.5], [-1.5], [3.2], [13.5], [5.0]])  # to the nearest: 0.5, 1.5, 1.8, 4.5, 0
    unused = np.full((5, 128, 128), 7, np.uint8)
    nearest = find_nearest(unused, found, np.full(5, ""), TRAIN[:4], train_found, PATIENTS[:4])
    assert authentic(nearest, train_found).tolist() == [False, True, False, True, False]
    with pytest.raises(ValueError, match="two training ROIs"):
        authentic(nearest, train_found[:1])


def test_a_third_of_independent_numbers_is_authentic():
    rng = np.random.default_rng(0)
    train_found, found = rng.random((2000, 1)), rng.random((4000, 1))
    away = np.abs(found - train_found.T)
    nearest = Nearest(away.argmin(1), away.min(1), *np.zeros((3, 4000)))
    assert authentic(nearest, train_found).mean() == pytest.approx(1 / 3, abs=0.03)


def ratio(distance, real_distance, percentile=50, units=None, real_units=None):
    units = np.arange(len(distance)) if units is None else units
    real_units = np.arange(len(real_distance)) if real_units is None else real_units
    args = np.asarray(distance, float), np.asarray(real_distance, float), units, real_units
    return distance_ratio(*args, percentile, 500, np.random.default_rng(0))


def test_the_distance_ratio_by_hand():
    assert ratio([1, 2, 3, 4, 5], [4, 6, 2])[0] == 3 / 4
    assert ratio([4, 3, 2, 1], [4])[0] == 2 / 4
    assert ratio(range(1, 101), range(10, 1010, 10), 5)[0] == 5 / 50


def test_the_distance_ratio_of_one_distribution_is_one_within_its_interval():
    rng = np.random.default_rng(1)
    value, low, high = ratio(rng.gamma(9, size=300), rng.gamma(9, size=90))
    assert low < 1 < high
    assert low < value < high
    _, wider_low, wider_high = ratio(rng.gamma(9, size=300), rng.gamma(9, size=32))
    assert wider_high - wider_low > high - low
    value, low, high = ratio(rng.gamma(9, size=300) / 2, rng.gamma(9, size=90))
    assert high < 1


def test_images_of_one_unit_count_as_one():
    rng = np.random.default_rng(1)
    distance = rng.gamma(9, size=30)
    alone = ratio(distance, np.full(5, 9.0))
    repeated = ratio(np.repeat(distance, 10), np.full(5, 9.0), units=np.repeat(np.arange(30), 10))
    assert repeated == pytest.approx(alone, abs=1e-9)


def test_a_ratio_that_no_resample_changes_has_no_interval():
    """As everywhere: that all resamples agree is no certainty."""
    value, low, high = ratio([3.0] * 20, [6.0] * 9)
    assert value == 0.5
    assert np.isnan([low, high]).all()


def test_a_ratio_without_reference_is_none():
    assert np.isnan(ratio([1, 2, 3], [0, 0, 0])).all()
    assert np.isnan(ratio([], [1, 2])).all()
