"""The quality measures, a record each: the function that computes it, and all that tables, figures and pages say of it.

Adding a measure is its function, in a file of its own or beside its like, and its record in ``MEASURES``.  Nothing else
knows measures by name.  Imports no torch, and the functions only when they are called.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from importlib import import_module
from typing import Any, TypeVar

from mammosynth.networks import NETWORKS

# Real images whose value stands beside a generator's: what they are called where one is nearest to them.
BASELINES = {"real": "the real set", "held_out": "held-out real ROIs", "floor": "real ROIs of other patients"}
REAL, HELD_OUT, FLOOR = BASELINES
OF_SOURCE = "SSIM, source"  # which sentences on translations read
# Measures of single images that the filter and the verdict on memorising read.
NEAR_COPY, AS_INTENDED, NIQE_REFITTED = "near copies", "label accuracy", "NIQE refitted"
SHOWN = ("better", "explanation", "reference", "unit", "aspect", "drawn", "beside_gains")


@dataclass(frozen=True)
class Measure:
    """What all measures have.

    name: in rows and tables, before the title of a feature network; function: "module:function" that computes it, see
    the kinds below; part: under what name or position its value stands, if the function returns several; better:
    "lower", "higher", "nearest" (to the value of its reference), or "" where neither way is; explanation: one line;
    reference: of ``BASELINES``, whose value is the one to read it beside; unit; aspect: under which heading scorecards
    show it, "images" (beside real ones), "novelty" or "label fidelity"; drawn: whether as a panel of the figure of
    quality, or in tables only; beside_gains: whether what classifiers gain is drawn against it.
    """

    name: str
    function: str = ""
    part: str | int | None = None
    better: str = ""
    explanation: str = ""
    reference: str = REAL
    unit: str = ""
    aspect: str = "images"
    drawn: bool = True
    beside_gains: bool = False

    @property
    def arrow(self) -> str:
        """↓ where lower is better, ↑ where higher is."""
        return {"lower": "↓", "higher": "↑"}.get(self.better, "")

    @property
    def module(self) -> str:
        """The module whose code decides its values."""
        return self.function.partition(":")[0]

    @cached_property
    def compute(self) -> Callable[..., Any]:
        """The function itself."""
        return getattr(import_module(self.module), self.function.partition(":")[2])

    @property
    def computed(self) -> tuple[Any, ...]:
        """What decides its values, and not how they are shown."""
        return tuple(getattr(self, field.name) for field in fields(self) if field.name not in SHOWN)


@dataclass(frozen=True)
class OfSets(Measure):
    """Of two sets of features: function(real [n, d], other [m, d]) -> float; once a feature network.

    halvings: of how many halvings it is taken (twice as many for the floor), if not of all; then the function draws at
    random, too, and has a third argument, a numpy Generator.  least: images that it needs in each set.  bounds: of
    its values.  degrees: of freedom of its error, where they are fewer than the halvings.  logarithmic: whether its
    logarithm is the more nearly normal.  See `mammosynth.quality.fidelity`.
    """

    halvings: int | None = None
    least: int = 2
    bounds: tuple[float, float] = (float("-inf"), float("inf"))
    degrees: float = float("inf")
    logarithmic: bool = False


@dataclass(frozen=True)
class OfFloor(Measure):
    """The floor's value of a measure of two sets over the generator's.  of: that measure's name."""

    of: str = ""


@dataclass(frozen=True)
class OfPairs(Measure):
    """The mean of function(images uint8 [P, H, W], others) -> [P]; others: which, see `mammosynth.quality.assess`."""

    others: str = "nearest real"


@dataclass(frozen=True)
class OfImages(Measure):
    """The mean of a value an image: function(*what it reads) -> [N], NaN where an image has none.

    reads: names of what it is given, in order, see `mammosynth.quality.describe`; parameter files are among them by
    their names.  The training ROIs themselves have it only if the real set is its reference.
    """

    reads: tuple[str, ...] = ("images",)


@dataclass(frozen=True)
class OverHeldOut(Measure):
    """A percentile of images' distances to their nearest training ROI over that of held-out real ROIs."""

    percentile: float = 50


DISTANCES = "mammosynth.arrays.distances"
FEATURES = "features of the named network (FID and KID: Inception's)"
SSIM = "mammosynth.quality.similarity:ssim_and_ms_ssim"
SEVERAL_SCALES = (
    "structural similarity over several scales; within a set, low means diverse, and the real set is the reference"
)
ONE_OF_ITS_CLASS = "structural similarity of a synthetic and a real ROI of its class"
TO_HELD_OUT = (
    "distance in features to the nearest training ROI, over that of held-out real ROIs; well below 1 is copying, above "
    "1 is unlike real ROIs"
)

MEASURES: list[Measure] = [
    OfSets(
        "FD", f"{DISTANCES}:frechet_distance", better="lower", reference=FLOOR, logarithmic=True,
        explanation=f"Fréchet distance between {FEATURES} of synthetic ROIs and the real ones that the GANs were "
        "trained on, so that copies lower it",
    ),
    OfSets(
        "FD∞", f"{DISTANCES}:frechet_infinity", better="lower", reference=FLOOR, drawn=False, halvings=10, least=4,
        explanation="Fréchet distance of infinitely many ROIs, by extrapolation: part of the excess of few is left",
    ),
    OfSets(
        "KD", f"{DISTANCES}:kernel_distance", better="lower", reference=FLOOR, degrees=6, beside_gains=True,
        explanation=f"kernel distance between {FEATURES} of synthetic and real ROIs, unbiased in their number",
    ),
    OfSets(
        "precision", f"{DISTANCES}:prdc", "precision", "higher", reference=FLOOR, unit="share", bounds=(0, 1),
        explanation="share of synthetic ROIs that lie among the real ones in feature space: fidelity",
    ),
    OfSets(
        "recall", f"{DISTANCES}:prdc", "recall", "higher", reference=FLOOR, unit="share", bounds=(0, 1),
        beside_gains=True,
        explanation="share of real ROIs that lie among the synthetic ones in feature space: diversity",
    ),
    OfSets(
        "density", f"{DISTANCES}:prdc", "density", "nearest", reference=FLOOR, unit="ratio", drawn=False,
        bounds=(0, float("inf")),
        explanation="in how many real ROIs' neighbourhoods a synthetic one lies, as a share of those expected: "
        "fidelity; real ROIs of other patients are the reference, about 1, and more is crowding where real ROIs are "
        "densest",
    ),
    OfSets(
        "coverage", f"{DISTANCES}:prdc", "coverage", "higher", reference=FLOOR, unit="share", drawn=False,
        bounds=(0, 1),
        explanation="share of real ROIs with a synthetic one in their neighbourhood: diversity",
    ),
    OfFloor(
        "floor/FD", of="FD", better="higher", reference=FLOOR, unit="ratio", beside_gains=True,
        explanation="distance of real ROIs of other patients over that of the synthetic ones; 1 is as near as real "
        "ROIs, and more can be memorising, for the GANs were trained on the ROIs compared with",
    ),
    OverHeldOut(
        "nearest training ROI, median to held-out's", unit="ratio", aspect="novelty", percentile=50,
        explanation=TO_HELD_OUT,
    ),
    OverHeldOut(
        "nearest training ROI, 5th percentile to held-out's", unit="ratio", aspect="novelty", drawn=False, percentile=5,
        explanation=TO_HELD_OUT,
    ),
    OfPairs("MS-SSIM, within set", SSIM, 1, "nearest", SEVERAL_SCALES, others="within"),
    OfPairs(
        "SSIM, nearest real", SSIM, 0, "nearest",
        "structural similarity of a synthetic and the nearest real ROI of its class; near 1 would be a copy, but a "
        "translation is not compared with its source's patient, and its source is of the other class",
    ),
    OfPairs("MS-SSIM, nearest real", SSIM, 1, "nearest", SEVERAL_SCALES, drawn=False),
    OfPairs("SSIM, random real", SSIM, 0, "nearest", ONE_OF_ITS_CLASS, drawn=False, others="random real"),
    OfPairs("MS-SSIM, random real", SSIM, 1, "nearest", SEVERAL_SCALES, drawn=False, others="random real"),
    OfPairs(
        OF_SOURCE, "mammosynth.quality.similarity:ssim", others="source",
        explanation="structural similarity of a translation and the real ROI of the other class that it was made from; "
        "1 would be a copy of the image that was translated",
    ),
    OfImages(
        "NIQE", "mammosynth.quality.naturalness:niqe_published", better="nearest", reads=("images", "niqe"),
        explanation="distance from the natural-scene statistics of undistorted photographs, not of ultrasound or "
        "mammography: lower is nearer; the real set is the reference",
    ),
    OfImages(
        "BRISQUE", "mammosynth.quality.naturalness:brisque", better="nearest", reads=("images", "brisque"),
        explanation="distortion by natural-scene statistics learnt from photographs, not from ultrasound or "
        "mammography: lower is less; the real set is the reference",
    ),
    OfImages(
        "PIQE", "mammosynth.quality.naturalness:piqe", better="nearest", reads=("images",),
        explanation="extent of distorted blocks, by rules made for photographs: lower is less; the real set is the "
        "reference",
    ),
    OfImages(
        NIQE_REFITTED, "mammosynth.quality.naturalness:niqe_refitted", better="nearest", reads=("images", "niqe_model"),
        explanation="distance from the natural-scene statistics of the real training ROIs, in blocks that fit the ROI: "
        "lower is nearer to their mean; the real set is the reference",
    ),
    OfImages(
        NEAR_COPY, "mammosynth.quality.novelty:near_copies", better="lower", reference=HELD_OUT, unit="share",
        aspect="novelty", reads=("nearest", "limits"),
        explanation="share of synthetic ROIs that are nearer to one training ROI, in pixels or in features, than real "
        "ROIs of other patients ever are; held-out real ROIs are the reference",
    ),
    OfImages(
        "AuthPct", "mammosynth.quality.novelty:authentic_percentage", better="nearest", reference=HELD_OUT, unit="%",
        aspect="novelty", reads=("nearest", "known"),
        explanation="percentage of synthetic ROIs farther from their nearest training ROI than that is from its own "
        "nearest; held-out real ROIs are the reference: fewer are copies, more are unlike real ROIs",
    ),
    OfImages(
        AS_INTENDED, "mammosynth.quality.labels:as_intended", better="higher", reference=HELD_OUT, unit="share",
        aspect="label fidelity", reads=("probability", "threshold", "labels"), beside_gains=True,
        explanation="share of synthetic ROIs that a classifier of the real training ROIs takes for the class that they "
        "were made to be; held-out real ROIs are the reference, a little high, as its step and threshold were chosen "
        "by them. A translation's source was among those training ROIs, under the other label",
    ),
]  # fmt: skip

Kind = TypeVar("Kind", bound=Measure)


def measures_of(kind: type[Kind]) -> Iterator[Kind]:
    """The measures of a kind, in their order."""
    return (measure for measure in MEASURES if isinstance(measure, kind))


def find(name: str) -> tuple[Measure, str | None]:
    """The measure that a row's name says, and the feature network that it is taken on, if any.

    One without direction and explanation if it is not of this package, as a paper's may be.
    """
    for measure in MEASURES:
        if isinstance(measure, OfSets | OfFloor):
            for key, network in NETWORKS.items():
                if network.measure(measure.name) == name:
                    return measure, key
        elif measure.name == name:
            return measure, None
    return Measure(name), None


def measure_of(name: str) -> Measure:
    """The measure that a row's name says; see `find`."""
    return find(name)[0]
