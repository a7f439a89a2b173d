"""What a classifier is trained on."""

import itertools
import logging

import numpy as np
import pytest

from mammosynth.classifiers.mixes import (
    added_dose,
    assemble,
    gans_with_doses,
    images_to_make,
    largest_dose,
    parse_mix,
    parse_mixes,
    per_class,
)
from mammosynth.errors import InputError
from mammosynth.imageset import ImageSet

GANS = ["sngan", "wgan_gp"]


def image_set(benign: int, malignant: int, prefix: str = "r") -> ImageSet:
    n = benign + malignant
    labels = np.repeat([0, 1], [benign, malignant])
    return ImageSet(np.zeros((n, 2, 2)), labels, [f"{prefix}{i}" for i in range(n)])


def counts(images: ImageSet) -> list[int]:
    return np.bincount(images.labels, minlength=2).tolist()


def test_a_mix_is_read():
    mix = parse_mix("real+sngan@0.25+classic", GANS)
    [phase] = mix.phases
    assert dict(phase.doses) == {"real": 1, "sngan": 0.25}
    assert phase.classic
    assert (mix.gans, mix.holds_real) == (["sngan"], True)
    assert not parse_mix("wgan_gp", GANS).phases[0].classic
    assert not parse_mix("wgan_gp", GANS).holds_real


def test_phases_are_read_in_order_with_their_shares():
    mix = parse_mix("wgan_gp+sngan@2=30..real+sngan@balance+classic", GANS)
    assert [phase.name for phase in mix.phases] == ["sngan@2+wgan_gp", "real+sngan@balance+classic"]
    assert [phase.classic for phase in mix.phases] == [False, True]
    assert (mix.gans, mix.holds_real) == (["sngan", "wgan_gp"], True)
    assert [float(share) for share in mix.shares] == [0.3, 0.7]


@pytest.mark.parametrize(
    "name",
    [
        *("real", "sngan", "real+sngan", "real+sngan@0.5", "real+sngan@0.25+classic", "real@2", "real+classic"),
        *("real+sngan@balance", "sngan..real", "sngan=30..real+classic", "sngan=10..wgan_gp=20..real"),
    ],
)
def test_the_one_spelling_of_a_mix_is_kept(name):
    assert parse_mix(name, GANS).name == name


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("sngan+real", "real+sngan"),
        ("real+sngan@1", "real+sngan"),
        ("real@1+sngan@1.0", "real+sngan"),
        ("real+sngan@0.50", "real+sngan@0.5"),
        ("real+sngan@00.5", "real+sngan@0.5"),
        ("real+sngan@0.1000000000000000055", "real+sngan@0.1"),
        ("real+sngan@0.00001", "real+sngan@0.00001"),
        ("real+sngan@20.0", "real+sngan@20"),
        ("real@2.0", "real@2"),
        ("classic+wgan_gp+real+sngan", "real+sngan+wgan_gp+classic"),
        ("sngan@balance+real", "real+sngan@balance"),
        ("sngan@1..classic+real", "sngan..real+classic"),
        ("sngan=50..real", "sngan..real"),
        ("sngan=50..real=50", "sngan..real"),
        ("sngan=30..real=70", "sngan=30..real"),
        ("sngan=20..wgan_gp=20..sngan=20..wgan_gp=20..real", "sngan..wgan_gp..sngan..wgan_gp..real"),
    ],
)
def test_another_spelling_is_the_same_mix(name, canonical):
    assert parse_mix(name, GANS).name == canonical
    with pytest.raises(InputError) as error:
        parse_mixes(["real+wgan_gp", canonical, name], GANS)
    if name != canonical:
        assert f"mixes names one mix twice, as {canonical} and as {name}: leave one" in str(error.value)


@pytest.mark.parametrize(
    "names",
    [*itertools.combinations(["real", "real@2", "real+classic", "sngan..real", "real..sngan", "sngan=49..real"], 2)],
)
def test_different_mixes_are_no_doubles(names):
    assert [mix.name for mix in parse_mixes(names, GANS)] == list(names)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("real+stylegan", "stylegan is neither"),
        ("real+sngan@0", "above 0"),
        (f"real+sngan@{10**400}", "finite"),
        ("sngan@-1", "cannot read 'sngan@-1'"),
        ("classic", "no images"),
        ("real+real", "twice"),
        ("sngan+sngan@2", "twice"),
        ("real+classic+classic", "twice"),
        ("real@1.5", "whole"),
        ("real@0", "whole"),
        ("real@balance", "whole"),
        ("real+classic@2", "no dose"),
        ("real+classic@balance", "no dose"),
        ("real+", "cannot read ''"),
        ("", "cannot read ''"),
        ("real sngan", "cannot read"),
        ("real@nan", "cannot read"),
        ("real@２", "cannot read"),
        ("real@1e3", "cannot read"),
        ("real+sngan@balanced", "cannot read 'sngan@balanced'"),
        ("sngan@balance", "put real beside sngan@balance"),
        ("real@2+sngan@balance", "put real beside sngan@balance"),
        ("real..sngan@balance", "put real beside sngan@balance"),
        ("real+sngan@balance+wgan_gp@balance", "sngan and wgan_gp would each"),
        ("sngan..", "cannot read ''"),
        ("sngan...real", "cannot read '.real'"),
        ("sngan..stylegan", "stylegan is neither"),
        ("sngan..classic", "no images"),
        ("real..real", "phases 1 and 2 are both real"),
        ("real..sngan+real..real+sngan@1", "phases 2 and 3 are both real[+]sngan"),
        ("sngan=30", "its one phase has all steps; leave out =30"),
        ("sngan=0..real", "cannot read the share '0'"),
        ("sngan=100..real", "cannot read the share '100'"),
        ("sngan=0.3..real", "cannot read the share '0.3'"),
        ("sngan=..real", "cannot read the share ''"),
        ("sngan=30=30..real", "cannot read the share '30=30'"),
        ("sngan..real=70", "give each phase but the last its share"),
        ("sngan=20..wgan_gp..real", "give each phase but the last its share"),
        ("sngan=30..real=60", "add up to 100"),
        ("sngan=50..wgan_gp=50..real", "add up to 100"),
    ],
)
def test_a_bad_mix_is_refused_with_its_name(name, message):
    with pytest.raises(InputError, match=message) as error:
        parse_mix(name, GANS)
    assert str(error.value).startswith(f"mix {name}: ")


@pytest.mark.parametrize(
    ("name", "steps", "ends"),
    [
        ("real", 7, [7]),
        ("sngan..real", 8, [4, 8]),
        ("sngan..real", 3, [2, 3]),
        ("sngan=30..real", 2000, [600, 2000]),
        ("sngan..wgan_gp..real", 100, [33, 67, 100]),
        ("sngan=1..wgan_gp=1..real", 200, [2, 4, 200]),
    ],
)
def test_phases_share_the_steps_of_all_mixes(name, steps, ends):
    assert parse_mix(name, GANS).ends(steps) == ends


@pytest.mark.parametrize(
    ("name", "steps", "phase"),
    [("sngan=10..real", 3, "sngan"), ("sngan=99..real", 40, "real"), ("sngan..wgan_gp..real", 2, "wgan_gp")],
)
def test_a_phase_without_a_step_is_refused(name, steps, phase):
    with pytest.raises(InputError, match=rf"mix {name}: its phase {phase} has none of the classifier's {steps} steps"):
        parse_mix(name, GANS).ends(steps)


def test_real_images_are_kept_as_they_are_or_doubled():
    real = image_set(3, 1)
    assert list(assemble(parse_mix("real", GANS), real, {}, 0)[0].ids) == list(real.ids)
    [doubled] = assemble(parse_mix("real@2", GANS), real, {}, 0)
    assert sorted(doubled.ids) == sorted(2 * list(real.ids))


def test_a_dose_counts_images_per_real_image_in_equal_parts_of_both_classes():
    real, synthetic = image_set(8, 4), {"sngan": image_set(20, 20, "s")}
    for dose, n in ((0.5, 6), (1, 12), (2, 24)):
        [only] = assemble(parse_mix(f"sngan@{dose}", GANS), real, synthetic, 0)
        assert len(only) == n
        assert only.labels.sum() == n / 2
        assert len(set(only.ids)) == n
    [hybrid] = assemble(parse_mix("real+sngan", GANS), real, synthetic, 0)
    assert (len(hybrid), hybrid.labels.sum()) == (24, 10)


@pytest.mark.parametrize(("benign", "malignant"), [(9, 4), (3, 10), (1, 12)])
def test_balance_fills_up_the_smaller_class_alone(benign, malignant):
    real, synthetic = image_set(benign, malignant), {"sngan": image_set(20, 20, "s"), "wgan_gp": image_set(20, 20, "w")}
    larger = max(benign, malignant)
    [images] = assemble(parse_mix("real+sngan@balance", GANS), real, synthetic, 0)
    assert counts(images) == [larger, larger]
    assert list(images.ids[: len(real)]) == list(real.ids)
    assert len(set(images.ids)) == 2 * larger
    first, then = assemble(parse_mix("wgan_gp@0.5..real+sngan@balance+wgan_gp", GANS), real, synthetic, 0)
    assert len(set(counts(first))) == 1
    assert len(set(counts(then))) == 1


def test_balance_of_classes_that_are_balanced_adds_nothing_and_is_said(caplog):
    real, synthetic = image_set(6, 6), {"sngan": image_set(20, 20, "s")}
    with caplog.at_level(logging.WARNING, logger="mammosynth"):
        [images] = assemble(parse_mix("real+sngan@balance", GANS), real, synthetic, 0)
    assert list(images.ids) == list(real.ids)
    assert "mix real+sngan@balance: the real training part lacks no images of a class" in caplog.text


def test_each_phase_has_its_own_images():
    real, synthetic = image_set(8, 4), {"sngan": image_set(20, 20, "s")}
    first, last = assemble(parse_mix("sngan@2..real", GANS), real, synthetic, 0)
    assert counts(first) == [12, 12]
    assert list(last.ids) == list(real.ids)


def test_draws_depend_on_the_seed_and_nest():
    real, synthetic = image_set(8, 4), {"sngan": image_set(20, 20, "s")}
    small, large = (set(assemble(parse_mix(f"sngan@{r}", GANS), real, synthetic, 3)[0].ids) for r in (0.5, 2))
    balance = set(assemble(parse_mix("real+sngan@balance", GANS), real, synthetic, 3)[0].ids) - set(real.ids)
    assert small < large
    assert balance < large
    assert small == set(assemble(parse_mix("sngan@0.5", GANS), real, synthetic, 3)[0].ids)
    assert small != set(assemble(parse_mix("sngan@0.5", GANS), real, synthetic, 4)[0].ids)


def test_what_must_be_made_is_exactly_what_the_largest_dose_draws():
    mixes = [parse_mix(name, GANS) for name in ("real", "sngan", "real+sngan@1.7", "sngan@1.2..real")]
    real = image_set(8, 5)
    n = per_class(largest_dose(mixes, "sngan"), len(real))
    assert n == images_to_make(largest_dose(mixes, "sngan"), real.labels)
    for mix in mixes:
        assemble(mix, real, {"sngan": image_set(n, n, "s")}, 0)
    assert largest_dose(mixes, "wgan_gp") == 1
    assert largest_dose([parse_mix("real+sngan@0.25", GANS)], "sngan") == 1
    assert largest_dose([parse_mix("sngan@3..real+sngan@0.5", GANS)], "sngan") == 3


@pytest.mark.parametrize("oversample", [1, 1.5, 4])
@pytest.mark.parametrize(("benign", "malignant"), [(9, 4), (2, 30)])
def test_enough_is_made_for_balance_and_for_what_a_filter_may_drop(benign, malignant, oversample):
    real, mix = image_set(benign, malignant), parse_mix("real+sngan@balance", GANS)
    made = images_to_make(largest_dose([mix], "sngan"), real.labels, oversample)
    assert made >= oversample * abs(benign - malignant)
    assert made >= oversample * per_class(1, len(real))
    assert made >= oversample * max(benign, malignant)  # for the assessment


def test_a_dose_takes_what_a_filter_left(caplog):
    real, mix = image_set(8, 4), parse_mix("sngan", GANS)
    with caplog.at_level(logging.WARNING, logger="mammosynth"):
        [left] = assemble(mix, real, {"sngan": image_set(2, 9, "s")}, 0)
    assert (len(left), left.labels.sum()) == (8, 6)
    assert "mix sngan: sngan has 2 benign images of 6" in caplog.text
    with pytest.raises(InputError, match=r"mix sngan: sngan has no malignant images; loosen quality\.filter"):
        assemble(mix, real, {"sngan": image_set(9, 0, "s")}, 0)
    balance = parse_mix("real+sngan@balance", GANS)
    with pytest.raises(InputError, match="sngan has no malignant images"):
        assemble(balance, real, {"sngan": image_set(9, 0, "s")}, 0)
    assert counts(assemble(balance, real, {"sngan": image_set(0, 9, "s")}, 0)[0]) == [8, 8]


def test_a_dose_is_that_of_real_images_and_those_of_one_gan_alone():
    dosed = {"real+sngan": ("sngan", 1), "cgan@0.25+real": ("cgan", 0.25)}
    others = ["real", "sngan@2", "real@2+sngan", "real+cgan+sngan", "real+sngan+classic", "sngan..real"]
    assert {name: added_dose(parse_mix(name)) for name in dosed} == dosed
    assert [added_dose(parse_mix(name)) for name in [*others, "real+sngan@balance"]] == [None] * 7
    mixes = [parse_mix(name) for name in (*dosed, *others, "real+sngan@4", "real+cgan@balance")]
    assert gans_with_doses(mixes) == ["sngan"]
