"""Mixes: what a classifier is trained on.

A mix is spelled as parts joined by ``+``: ``real``, the name of a GAN, and ``classic`` (classical augmentation of each
batch).  A part may carry a dose: ``@r``, images per real training image, 1 if not given; or ``@balance``, as many
images of the smaller class as it lacks in the real training part, and none of the other.  Phases, one after the other,
are joined by ``..``; each may carry its share of the steps in percent, ``=p``, and the last one takes what remains.

==========================  ===================================================================
``real``                    the real training images
``sngan``                   synthetic images only, as many as there are real ones
``real+sngan@0.25``         the real images and one synthetic image for every four of them
``real+sngan@balance``      the real images, and synthetic ones until both classes have as many
``real@2``                  each real image twice: the control that has as many images as real+gan
``real+classic``            real images, augmented classically at each step
``sngan..real``             synthetic images for half of the steps, then real ones
``sngan=30..real+classic``  the same for 30 % of the steps, then real ones, augmented
==========================  ===================================================================

One mix has one name, which stands in file names, tables and figures: ``real``, the GANs by name and ``classic``; doses
as their shortest decimals, none if 1; no shares if they are equal, else those of all phases but the last.

All characters are free of meaning to file systems, shells (inside a word), YAML and SLURM's patterns of log files;
``,`` and ``:`` are not, as Snakemake tells a cluster's jobs their wildcards between them.

Light on purpose: the workflow imports it to check the configuration before anything runs.
"""

import itertools
import logging
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet

log = logging.getLogger("mammosynth")

BALANCE = "balance"
PART = re.compile(rf"(?P<name>[a-z][a-z0-9_]*)(@(?P<dose>[0-9]+(\.[0-9]+)?|{BALANCE}))?")
SHARE = re.compile(r"[1-9][0-9]?")


@dataclass(frozen=True)
class Phase:
    """Images that a classifier is trained on together.

    doses: images per real training image, or BALANCE, by part: ``real`` first, then GANs by name;
    classic: whether batches are augmented classically.
    """

    doses: Mapping[str, float | str]
    classic: bool

    @property
    def name(self) -> str:
        """Its one spelling."""
        parts = [part if dose == 1 else f"{part}@{shortest(dose)}" for part, dose in self.doses.items()]
        return "+".join([*parts, *(["classic"] if self.classic else [])])


@dataclass(frozen=True)
class Mix:
    """A parsed mix: its phases in order, and the share of the steps of each, which add up to 1."""

    phases: tuple[Phase, ...]
    shares: tuple[Fraction, ...]

    @cached_property
    def name(self) -> str:
        """Its one spelling."""
        names = [phase.name for phase in self.phases]
        if not self.equal_shares:
            names[:-1] = [f"{name}={100 * share}" for name, share in zip(names[:-1], self.shares)]
        return "..".join(names)

    @property
    def equal_shares(self) -> bool:
        """Whether all phases have the same share of the steps."""
        return len(set(self.shares)) == 1

    @property
    def gans(self) -> list[str]:
        """The GANs whose images are in the mix, in the order of the name."""
        return list(dict.fromkeys(part for phase in self.phases for part in phase.doses if part != "real"))

    @property
    def holds_real(self) -> bool:
        """Whether real images are in the mix."""
        return any("real" in phase.doses for phase in self.phases)

    def ends(self, steps: int) -> list[int]:
        """The step after which each phase ends, of so many in all.

        Raises InputError if a phase has none.
        """
        ends = [round(steps * reached) for reached in itertools.accumulate(self.shares)]
        for phase, start, end in zip(self.phases, [0, *ends], ends):
            if start == end:
                raise InputError(
                    f"mix {self.name}: its phase {phase.name} has none of the classifier's {steps} steps: raise steps, "
                    "or the phase's share"
                )
        return ends


def parse_mix(name: str, gans: Collection[str] | None = None) -> Mix:
    """Read a mix's name; *gans* are the GANs that it may name, if not any.

    Raises InputError if it cannot be read; if a phase names something unknown or a part twice, gives a dose that is not
    positive (for ``real``: not a whole number), or holds no images at all; if a phase is as the one before it; or if
    shares do not add up.
    """
    name = str(name)
    try:
        bags, shares = zip(*(_split_share(text) for text in name.split("..")))
        phases = tuple(_parse_phase(bag, gans) for bag in bags)
        for number, (one, other) in enumerate(itertools.pairwise(phases), 1):
            if one == other:
                raise InputError(f"phases {number} and {number + 1} are both {one.name}; make them one")
        return Mix(phases, _parse_shares(shares))
    except InputError as error:
        raise InputError(f"mix {name}: {error}") from None


def parse_mixes(names: Iterable[str], gans: Collection[str] | None = None) -> list[Mix]:
    """Read the mixes of a study.

    Raises InputError if one cannot be read, or if two are one mix, which would be trained and counted twice.
    """
    mixes: list[Mix] = []
    spellings: dict[str, str] = {}
    for spelling in names:
        mix = parse_mix(spelling, gans)
        if mix.name in spellings:
            raise InputError(
                f"config: mixes names one mix twice, as {spellings[mix.name]} and as {spelling}: leave one of them out"
            )
        spellings[mix.name] = spelling
        mixes.append(mix)
    return mixes


def _split_share(text: str) -> tuple[str, int | None]:
    bag, equals, share = text.partition("=")
    if equals and not SHARE.fullmatch(share):
        raise InputError(
            f"cannot read the share {share!r}; write a whole percentage from 1 to 99, as in sngan=30..real"
        )
    return bag, int(share) if equals else None


def _parse_shares(percents: Collection[int | None]) -> tuple[Fraction, ...]:
    """Shares of the steps: equal ones if none is given."""
    *first, last = percents
    if set(percents) == {None}:
        return (Fraction(1, len(percents)),) * len(percents)
    if not first:
        raise InputError(f"its one phase has all steps; leave out ={last}")
    given = [percent for percent in first if percent is not None]
    if len(given) < len(first):
        raise InputError("give each phase but the last its share, or none, as in sngan=30..real")
    rest = 100 - sum(given)
    if rest < 1 or last not in (None, rest):
        raise InputError("the shares of its phases must add up to 100; the last may be left out, as in sngan=30..real")
    return tuple(Fraction(percent, 100) for percent in (*given, rest))


def _parse_phase(bag: str, gans: Collection[str] | None) -> Phase:
    doses: dict[str, float | str] = {}
    classic = False
    for text in bag.split("+"):
        match = PART.fullmatch(text)
        if match is None:
            raise InputError(
                f"cannot read {text!r}; write real, a GAN or classic, with a dose as in real@2 or sngan@{BALANCE}"
            )
        part, dose = match["name"], match["dose"]
        if part in doses or (part == "classic" and classic):
            raise InputError(f"{part} stands in it twice; give it one dose instead, as in {part}@2")
        if part == "classic":
            if dose is not None:
                raise InputError("classic takes no dose, as it changes images and adds none")
            classic = True
            continue
        if gans is not None and part != "real" and part not in gans:
            raise InputError(f"{part} is neither real, classic nor a GAN of this study ({', '.join(gans)})")
        doses[part] = _parse_dose(part, dose)
    if not doses:
        raise InputError("it holds no images; add real or a GAN")
    balancing = [part for part, dose in doses.items() if dose == BALANCE]
    if balancing and doses.get("real") != 1:
        raise InputError(f"{BALANCE} fills up the real images, each once: put real beside {balancing[0]}@{BALANCE}")
    if len(balancing) > 1:
        raise InputError(f"{' and '.join(balancing)} would each fill up what is lacking: balance by one GAN alone")
    return Phase(dict(sorted(doses.items(), key=lambda item: (item[0] != "real", item[0]))), classic)


def _parse_dose(part: str, text: str | None) -> float | str:
    if text == BALANCE and part != "real":
        return BALANCE
    dose = math.nan if text == BALANCE else float(text or 1)
    if part == "real" and not (dose.is_integer() and dose > 0):
        raise InputError("real images are repeated as a whole, so their dose must be 1, 2, …")
    if not 0 < dose < math.inf:
        raise InputError(f"the dose of {part} must be above 0 and finite; leave the part out instead")
    return dose


def shortest(dose: float | str) -> str:
    """A dose as it is written: the shortest decimal that is it, or BALANCE."""
    return dose if isinstance(dose, str) else np.format_float_positional(dose, trim="-")


def per_class(dose: float, n_real: int) -> int:
    """Synthetic images of each class that *dose* asks for beside *n_real* real training images; at least one."""
    return max(1, round(dose * n_real / len(CLASSES)))


def largest_dose(mixes: Iterable[Mix], gan: str) -> float:
    """Images per real training image that *gan* must make: for its largest dose in *mixes*, and 1 to be assessed on.

    What balances classes is in `images_to_make`.
    """
    doses = [phase.doses.get(gan, BALANCE) for mix in mixes for phase in mix.phases]
    return max([1.0, *(dose for dose in doses if not isinstance(dose, str))])


def added_dose(mix: Mix) -> tuple[str, float] | None:
    """The GAN and its dose where a mix is the real images and those of one GAN, and nothing else; None of other mixes.

    What balances classes has no dose: it depends on the training part.
    """
    (phase, *later), gans = mix.phases, mix.gans
    if later or phase.classic or phase.doses.get("real") != 1 or len(gans) != 1:
        return None
    dose = phase.doses[gans[0]]
    return None if isinstance(dose, str) else (gans[0], dose)


def gans_with_doses(mixes: Iterable[Mix]) -> list[str]:
    """The GANs of which the real images stand beside two doses or more, so that a dose can be told from a GAN."""
    added = list(filter(None, map(added_dose, mixes)))
    return [gan for gan in dict.fromkeys(gan for gan, _ in added) if sum(of == gan for of, _ in added) > 1]


def images_to_make(dose: float, labels: np.ndarray, oversample: float = 1) -> int:
    """Images of each class that a GAN makes whose largest dose this is; *oversample* times as many for a filter.

    labels: of the real training images [N], 0 or 1.

    At least as many as the training part has of its larger class: fidelity halves them as it halves real ones, and no
    balance asks for more.
    """
    return round(oversample * max(per_class(dose, len(labels)), *np.bincount(labels)))


def assemble(mix: Mix, real: ImageSet, synthetic: Mapping[str, ImageSet], seed: int) -> list[ImageSet]:
    """The training images of each phase of a mix.

    real: the real training images (they set how many a dose asks for, even if the mix does not hold them);
    synthetic: images by GAN, at least those of the mix.  Of each GAN an equal number of both classes is drawn, or what
    balances them, without replacement; the draw of a small dose is part of the draw of a larger one with the same seed.
    Where a filter left fewer of a class than the dose asks for, all of them are taken.

    Raises InputError if a GAN has no image of a class.
    """
    return [_assemble_phase(mix, phase, real, synthetic, seed) for phase in mix.phases]


def _assemble_phase(mix: Mix, phase: Phase, real: ImageSet, synthetic: Mapping[str, ImageSet], seed: int) -> ImageSet:
    sets = []
    for part, dose in phase.doses.items():
        if part == "real":
            sets += [real] * int(dose)
            continue
        for pathology, n in _counts(dose, real).items():
            candidates = synthetic[part].of_class(pathology)
            if n and not len(candidates):
                raise InputError(f"mix {mix.name}: {part} has no {pathology} images; loosen quality.filter")
            sets.append(candidates[np.random.default_rng(seed).permutation(len(candidates))[:n]])
            if len(sets[-1]) < n:
                log.warning("mix %s: %s has %d %s images of %d", mix.name, part, len(sets[-1]), pathology, n)
        if dose == BALANCE and not any(_counts(dose, real).values()):
            log.warning("mix %s: the real training part lacks no images of a class, so that it is all", mix.name)
    return ImageSet.concatenate(sets)


def _counts(dose: float | str, real: ImageSet) -> dict[str, int]:
    """Synthetic images of each class that a dose asks for."""
    if not isinstance(dose, str):
        return dict.fromkeys(CLASSES, per_class(dose, len(real)))
    counts = np.bincount(real.labels, minlength=len(CLASSES))
    return {pathology: int(counts.max() - count) for pathology, count in zip(CLASSES, counts)}
