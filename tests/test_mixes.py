"""What a classifier is trained on."""

import numpy as np
import pytest

from mammosynth.classifiers.mixes import assemble, largest_dose, parse_mix, per_class
from mammosynth.errors import InputError
from mammosynth.imageset import ImageSet

GANS = ["sngan", "wgan_gp"]


def image_set(benign: int, malignant: int, prefix: str = "r") -> ImageSet:
    n = benign + malignant
    labels = np.repeat([0, 1], [benign, malignant])
    return ImageSet(np.zeros((n, 2, 2)), labels, [f"{prefix}{i}" for i in range(n)])


def test_a_mix_is_read():
    mix = parse_mix("real+sngan@0.25+classic", GANS)
    assert dict(mix.doses) == {"real": 1, "sngan": 0.25}
    assert mix.classic
    assert mix.gans == ["sngan"]
    assert not parse_mix("wgan_gp", GANS).classic


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("real+stylegan", "stylegan is neither"),
        ("real+sngan@0", "above 0"),
        ("sngan@-1", "cannot read 'sngan@-1'"),
        ("classic", "no images"),
        ("real+real", "twice"),
        ("sngan+sngan@2", "twice"),
        ("real+classic+classic", "twice"),
        ("real@1.5", "whole"),
        ("real+classic@2", "no dose"),
        ("real+", "cannot read ''"),
        ("", "cannot read ''"),
        ("real sngan", "cannot read"),
        ("real@nan", "cannot read"),
    ],
)
def test_a_bad_mix_is_refused_with_its_name(name, message):
    with pytest.raises(InputError, match=message) as error:
        parse_mix(name, GANS)
    assert f"mix {name}" in str(error.value)


def test_real_images_are_kept_as_they_are_or_doubled():
    real = image_set(3, 1)
    assert list(assemble(parse_mix("real", GANS), real, {}, 0).ids) == list(real.ids)
    doubled = assemble(parse_mix("real@2", GANS), real, {}, 0)
    assert sorted(doubled.ids) == sorted(2 * list(real.ids))


def test_a_dose_counts_images_per_real_image_in_equal_parts_of_both_classes():
    real, synthetic = image_set(8, 4), {"sngan": image_set(20, 20, "s")}
    for dose, n in ((0.5, 6), (1, 12), (2, 24)):
        only = assemble(parse_mix(f"sngan@{dose}", GANS), real, synthetic, 0)
        assert len(only) == n
        assert only.labels.sum() == n / 2
        assert len(set(only.ids)) == n
    hybrid = assemble(parse_mix("real+sngan", GANS), real, synthetic, 0)
    assert (len(hybrid), hybrid.labels.sum()) == (24, 10)


def test_draws_depend_on_the_seed_and_nest():
    real, synthetic = image_set(8, 4), {"sngan": image_set(20, 20, "s")}
    small, large = (set(assemble(parse_mix(f"sngan@{r}", GANS), real, synthetic, 3).ids) for r in (0.5, 2))
    assert small < large
    assert small == set(assemble(parse_mix("sngan@0.5", GANS), real, synthetic, 3).ids)
    assert small != set(assemble(parse_mix("sngan@0.5", GANS), real, synthetic, 4).ids)


def test_what_must_be_made_is_exactly_what_the_largest_dose_draws():
    mixes = [parse_mix(name, GANS) for name in ("real", "sngan", "real+sngan@1.7")]
    real = image_set(8, 5)
    n = per_class(largest_dose(mixes, "sngan"), len(real))
    for mix in mixes:
        assemble(mix, real, {"sngan": image_set(n, n, "s")}, 0)
    assert largest_dose(mixes, "wgan_gp") == 1
    assert largest_dose([parse_mix("real+sngan@0.25", GANS)], "sngan") == 1


def test_a_dose_takes_what_a_filter_left():
    real, mix = image_set(8, 4), parse_mix("sngan", GANS)
    left = assemble(mix, real, {"sngan": image_set(2, 9, "s")}, 0)
    assert (len(left), left.labels.sum()) == (8, 6)
    with pytest.raises(InputError, match=r"mix sngan: sngan has no malignant images; loosen quality\.filter"):
        assemble(mix, real, {"sngan": image_set(9, 0, "s")}, 0)
