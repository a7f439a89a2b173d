"""Any synthetic images judged against any real ones, without a study: the study's own measures, by the study's code.

As in a study, the real images play the training part: distances are taken of halves of them by patients, the floor is
what one half reaches against the other, and copies are looked for among all of them.  Held-out real images, which the
generator was not trained on, are the reference of novelty.  Where none are given, each real image stands beside those
of other patients, so that none is lost; whether the generator memorised is then told as well, but not whether it is as
near to images that it never saw.

What differs from a study: labels are judged by probes (a study's first classifier judges them there), and where
patients are not known each image counts as one.

**Utility**: probes, logistic regressions on frozen features, are trained on real, on synthetic and on both, in the
mixes ``real``, ``synthetic`` and ``real+synthetic``, and tested on real images of other patients: on the held-out ones,
or else on each fifth of the real ones in turn.  A screen, as in a study: what a network that is trained on them would
gain, probes do not say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mammosynth import parameters
from mammosynth.arrays.statistics import youden_threshold
from mammosynth.classifiers.mixes import assemble, parse_mix
from mammosynth.errors import InputError
from mammosynth.exchange import NAMES, Given, has_parts, read
from mammosynth.gpu import device
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.partition import EXTERNAL, LEAST, PARTS, assign_parts, spread_groups
from mammosynth.quality.assess import Described, assess_real
from mammosynth.quality.assess import assess as assess_synthetic
from mammosynth.quality.measures import AS_INTENDED, HELD_OUT, NEAR_COPY, REAL, OfImages, measures_of
from mammosynth.quality.novelty import Limits, Nearest, Verdict, judge, nearest_in

if TYPE_CHECKING:
    from mammosynth.classifiers.classifier import Classifier

Images = str | Path | np.ndarray | ImageSet
SYNTHETIC = "synthetic"
MIXES = (REAL, SYNTHETIC, f"{REAL}+{SYNTHETIC}")
DEFAULT_NETWORKS = ("squeezenet", "efficientnet_lite0")  # of a study, in its order
FOLDS = 5
SMALLEST = 32  # px: a block of NIQE as it is refitted
PROBE = "probe"


@dataclass(frozen=True)
class Assessment:
    """What synthetic images are worth beside real ones.

    real, synthetic, held_out: the images (held_out None where each real image stands beside other patients'); measures:
    tidy rows of ``synthetic`` and, for reference, ``real``, ``held_out`` and ``floor``, as ``quality.csv`` has them;
    novelty: the verdict on copies; utility: tidy scores of probes as ``scores.csv`` has them, None where classes or
    patients are too few; nearest: the real images nearest to synthetic and to held-out ones, and the limits of near
    copies; warnings: what to know before any number is read; limits: what these numbers cannot show.
    """

    real: Given
    synthetic: Given
    held_out: Given | None
    measures: pd.DataFrame
    novelty: Verdict
    utility: pd.DataFrame | None
    nearest: tuple[Nearest, Nearest, Limits]
    warnings: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)

    @property
    def labelled(self) -> bool:
        """Whether the classes are known."""
        return self.real.labelled


def assess(
    real: Images,
    synthetic: Images,
    held_out: Images | None = None,
    *,
    names: Mapping[str, str] = NAMES,
    patient: str | None = None,
    size: int | None = None,
    networks: tuple[str, ...] = DEFAULT_NETWORKS,
    resamples: int = 1000,
    seed: int = 0,
) -> Assessment:
    """Judge synthetic images against real ones.

    real, synthetic, held_out: folders of images, ``.npz`` files, arrays uint8 [N, H, W] or image sets; see
    `mammosynth.exchange`. held_out: real images that the generator was not trained on; of a real file of MedMNIST's
    form they are its other parts, if none are given. names: the folder or label of each class; patient: a regular
    expression that finds the patient in a real image's path; size: the side that images are resized to, if they are;
    networks: names of ``NETWORKS``, the first says which images are nearest; resamples, seed: of the bootstrap.

    Raises InputError, with what to do, if the images cannot be read rightly or are too few.
    """
    if unknown := sorted(set(networks) - set(NETWORKS)):
        raise InputError(f"there is no feature network {unknown[0]}: name {', '.join(NETWORKS)}")
    of_folder: dict[str, Any] = {"names": names, "size": size}
    if held_out is None and has_parts(real):
        held_out = real
    whole = held_out is not real
    given = read(real, patient=patient, parts=PARTS if whole else ("train",), **of_folder)
    beside = None
    if held_out is not None:
        parts = PARTS if whole else ("val", "test")
        place = "" if whole else f"{given.place}, val and test"
        beside = read(held_out, place=place, patient=patient, parts=parts, **of_folder)
    return _Assessing(given, read(synthetic, **of_folder), beside, networks, resamples, seed).run()


class _Assessing:
    """An assessment under way: the sets, made alike, and what is to be said of them."""

    def __init__(
        self,
        real: Given,
        synthetic: Given,
        held_out: Given | None,
        networks: tuple[str, ...],
        resamples: int,
        seed: int,
    ) -> None:
        self.networks, self.resamples, self.seed = networks, resamples, seed
        self.warnings: list[str] = []
        self.limits: list[str] = []
        _refuse_other_sizes(real, *([held_out] if held_out else []), synthetic)
        self.real, self.synthetic, self.held_out = self._of_like_classes(real, synthetic, held_out)
        self._refuse_too_few()
        self._name_patients()
        self._note_same_images()
        self.kept = parameters.cache() / "kept"

    def _of_like_classes(
        self, real: Given, synthetic: Given, held_out: Given | None
    ) -> tuple[Given, Given, Given | None]:
        """The sets, of classes that all have; of no class where one set does not say it."""
        sets = [given for given in (real, synthetic, held_out) if given]
        if not all(given.labelled for given in sets):
            known = [given.place for given in sets if given.labelled]
            if known:
                without = next(given.place for given in sets if not given.labelled)
                self.limits.append(
                    f"The classes of {without} are not known, so those of {known[0]} are not looked at: neither label "
                    "accuracy nor probes."
                )
            sets = [replace(given, labelled=False, images=_unlabelled(given.images)) for given in sets]
        else:
            shared = [name for name in CLASSES if all(name in given.images.classes for given in sets)]
            if not shared:
                raise InputError(f"{real.place} and {synthetic.place} have no class in common: give images of the same")
            if len(shared) < len(CLASSES):
                alone = next(given.place for given in sets if len(given.images.classes) < len(CLASSES))
                self.warnings.append(
                    f"{alone} has {shared[0]} images alone, so only {shared[0]} ones are judged, and neither label "
                    "accuracy nor probes."
                )
                sets = [replace(given, images=given.images.of_class(shared[0])) for given in sets]
        return sets[0], sets[1], sets[2] if held_out else None

    @property
    def classes(self) -> list[str]:
        return self.real.images.classes

    @property
    def both_classes(self) -> bool:
        return self.real.labelled and len(self.classes) == len(CLASSES)

    def _refuse_too_few(self) -> None:
        for given, what in ((self.real, "real"), (self.synthetic, SYNTHETIC), (self.held_out, "held-out real")):
            for name in given.images.classes if given else ():
                assert given
                n, kind = len(given.images.of_class(name)), f" {name}" if given.labelled else ""
                least = LEAST if given is not self.synthetic else LEAST // 2
                if n < least:
                    raise InputError(
                        f"{given.place} has {n} {what}{kind} images, and {least} are needed to judge any: give more, "
                        "and hundreds for intervals that say something"
                    )

    def _name_patients(self) -> None:
        """Each image is a patient where patients are not known; synthetic images and others are never one."""
        if self.real.patients_known and (self.held_out is None or self.held_out.patients_known):
            return
        self.limits.append(
            "Patients of the real images are not known, so each image counts as one: images of one patient lie on both "
            "sides of the floor, which is then too low, and intervals are too narrow. Name them by --patient or in "
            "images.csv."
        )
        self.real = _each_a_patient(self.real, "real")
        if self.held_out:
            self.held_out = _each_a_patient(self.held_out, "held-out")

    def _note_same_images(self) -> None:
        """Warn of images that are the same to the pixel, and refuse held-out ones among the real ones."""
        real = _digests(self.real.images)
        made = _digests(self.synthetic.images)
        ids = dict(zip(real, self.real.images.ids.tolist()))
        shared = [(i, digest) for i, digest in enumerate(made) if digest in ids]
        if len(shared) == len(made):
            self.warnings.append(
                f"All {len(made)} synthetic images are, to the pixel, images of {self.real.place}: these are the same "
                "images twice, and a perfect score is no finding."
            )
        elif shared:
            first, digest = shared[0]
            self.warnings.append(
                f"{len(shared)} of {len(made)} synthetic images are, to the pixel, real ones of {self.real.place} "
                f"({self.synthetic.images.ids[first]} is {ids[digest]}): take them out and assess the others."
            )
        if repeated := len(made) - len(set(made)):
            self.warnings.append(
                f"{repeated} of {len(made)} synthetic images repeat another one to the pixel: the generator has "
                "collapsed, or files were copied."
            )
        if self.held_out and (both := set(_digests(self.held_out.images)) & set(real)):
            raise InputError(
                f"{len(both)} held-out images of {self.held_out.place} are also in {self.real.place}: hold out images "
                "that the generator was not trained on, or name none"
            )

    def run(self) -> Assessment:
        from mammosynth.quality.describe import Describer

        files = {
            name: parameters.cached(name, declaration)
            for name, declaration in (
                parameters.declared() | {name: network.weights for name, network in NETWORKS.items()}
            ).items()
            if name in {*self.networks, *(read for m in measures_of(OfImages) for read in m.reads)}
            or (name == "efficientnet_lite0" and self.both_classes)
        }
        train, other = self.real.images, (self.held_out or self.real).images
        made = self._with_sources_in(train)
        describer = Describer(list(self.networks), files, None, self.kept, device())
        table, reference = describer.real(train, other)
        of_made, features = describer.synthetic(SYNTHETIC, made, train, reference)
        tables = {name: rows.reset_index(drop=True) for name, rows in table.groupby("generator")}
        utility = None
        if self.both_classes:
            try:
                predictions, judged = self._probe(files, train, other, made)
            except InputError as error:
                self.limits.append(f"No probes were trained: {error}.")
            else:
                from mammosynth.classifiers.scores import score

                utility = score(predictions, self.resamples, self.seed)
                of_made[AS_INTENDED], tables[HELD_OUT][AS_INTENDED] = judged
        real = Described(train, tables[REAL], reference.features)
        beside = Described(other, tables[HELD_OUT])
        synthetic = Described(made, of_made, features)
        most = {name: len(made.of_class(name)) for name in self.classes}
        statistics = {"resamples": self.resamples, "seed": self.seed}
        rows, floor = assess_real(real, beside, **statistics, most=most)
        rows = pd.concat([assess_synthetic(SYNTHETIC, synthetic, real, beside, floor, **statistics), rows])
        held_out = "held-out real images" if self.held_out else "real images of other patients"
        copies, real_copies = (described.table[NEAR_COPY].to_numpy() > 0 for described in (synthetic, beside))
        verdict = judge(copies, real_copies, held_out=held_out, known="real images")
        nearest = (nearest_in(of_made, made, train), nearest_in(tables[HELD_OUT], other, train), reference.limits)
        self._note_limits(utility is not None)
        return Assessment(
            self.real,
            replace(self.synthetic, images=made),
            self.held_out,
            rows.reset_index(drop=True),
            verdict,
            utility,
            nearest,
            self.warnings,
            self.limits,
        )

    def _with_sources_in(self, train: ImageSet) -> ImageSet:
        """The synthetic images; sources of translations that are not among the real images are not known."""
        made = self.synthetic.images
        known = np.isin(made.sources, ["", *train.ids.tolist()])
        return made if known.all() else replace(made, sources=np.where(known, made.sources, ""))

    def _note_limits(self, probed: bool) -> None:
        if self.held_out is None:
            self.limits.append(
                "No held-out real images were given: whether the synthetic ones are as near to images that the "
                "generator never saw was not looked at"
                + (", and it may have been trained on the images that probes are tested on." if probed else ".")
            )
        smaller = min((len(self.synthetic.images.of_class(name)), name) for name in self.classes)
        if smaller[0] < len(self.real.images.of_class(smaller[1])) / 2:
            self.limits.append(
                f"There are only {smaller[0]}{f' {smaller[1]}' if self.both_classes else ''} synthetic images, so that "
                "as few real ones are compared at a time: distances of few images are larger than of many, for the "
                "floor alike."
            )

    def _probe(
        self, files: Mapping[str, Path], train: ImageSet, other: ImageSet, made: ImageSet
    ) -> tuple[pd.DataFrame, tuple[np.ndarray, np.ndarray]]:
        """Predictions of probes of each mix and fold, as `mammosynth.classifiers.scores.score` takes them; and how
        often probes of real images take each synthetic, and each held-out, image for its class.
        """
        from mammosynth.classifiers.prediction import predict

        folds = _folds(train)
        frames, of_made, of_other = [], [], np.full((folds, len(other)), np.nan)
        lesions = _lesions(train)
        of_fold = spread_groups(lesions, folds, self.seed) if self.held_out else np.empty(0)
        for fold in range(folds):
            if self.held_out:
                parts = {"train": train[of_fold != fold], "val": train[of_fold == fold], EXTERNAL: other}
            else:
                part = assign_parts(lesions, folds, fold, self.seed)["part"].to_numpy()
                parts = {name: train[part == name] for name in PARTS}
            tested = parts.get(EXTERNAL, parts.get("test"))
            assert tested is not None
            where = {"modality": "", "share": 100, "fold": fold, "classifier": PROBE, "seed": self.seed}
            shown = {name: images for name, images in parts.items() if name != "train"}
            databases = dict.fromkeys([*train.ids.tolist(), *other.ids.tolist()], "")
            for mix in MIXES:
                probe = self._fitted(mix, parts["train"], parts["val"], made, files)
                frames.append(predict(probe, shown, databases, where | {"mix": mix}))
                if mix == REAL:
                    validation = parts["val"]
                    threshold = youden_threshold(validation.labels, probe.probabilities(validation.images))
                    of_made.append((probe.probabilities(made.images) >= threshold) == made.labels)
                    position = np.arange(len(other)) if self.held_out else np.flatnonzero(part == "test")
                    of_other[fold, position] = (probe.probabilities(tested.images) >= threshold) == tested.labels
        return pd.concat(frames, ignore_index=True), (np.mean(of_made, axis=0), np.nanmean(of_other, axis=0))

    def _fitted(
        self, mix: str, train: ImageSet, validation: ImageSet, made: ImageSet, files: Mapping[str, Path]
    ) -> "Classifier":
        """A probe of one mix."""
        from mammosynth.checkpoint import Checkpoint
        from mammosynth.classifiers import METHODS
        from mammosynth.classifiers.classifier import Task
        from mammosynth.classifiers.settings import resolve

        parsed = parse_mix(mix)
        probe: Classifier = METHODS[PROBE].load()(resolve(PROBE, {"method": PROBE}), device(), files, self.kept)
        training = assemble(parsed, train, {SYNTHETIC: made}, self.seed)
        unused = Checkpoint(self.kept / "probe.pt", "")
        drawn_from = [self.real.images, made]
        probe.fit(Task(parsed, training, validation, self.seed, unused, np.inf, drawn_from))
        return probe


def _refuse_other_sizes(*sets: Given) -> None:
    first = sets[0]
    for given in sets[1:]:
        sides = [f"{w}×{h}" for h, w in (first.images.images.shape[1:], given.images.images.shape[1:])]
        if sides[0] != sides[1]:
            raise InputError(
                f"images of {first.place} are {sides[0]} px and those of {given.place} {sides[1]}: crop them alike, or "
                "have square ones resized by --size"
            )
    if min(first.images.images.shape[1:]) < SMALLEST:
        raise InputError(f"images of {sides[0]} px are too small for these measures, which need {SMALLEST}: --size 128")


def _unlabelled(images: ImageSet) -> ImageSet:
    return replace(images, labels=np.zeros(len(images)))


def _each_a_patient(given: Given, kind: str) -> Given:
    names = [f"{kind} {name}" for name in given.images.ids.tolist()]
    return replace(given, images=replace(given.images, patients=np.array(names)))


def _digests(images: ImageSet) -> list[bytes]:
    return [image.tobytes() for image in images.images]


def _folds(train: ImageSet) -> int:
    """As many folds as a study has, or as patients of the rarer class allow."""
    fewest = min(len(set(train.of_class(name).patients.tolist())) for name in CLASSES)
    if fewest < 3:
        raise InputError(f"{fewest} patients of a class are too few, 3 are needed to train, choose and test")
    return min(FOLDS, fewest)


def _lesions(train: ImageSet) -> pd.DataFrame:
    """The real images as a table of lesions for the partition."""
    pathology = np.array(CLASSES)[train.labels]
    columns: dict[str, Any] = {"lesion_id": train.ids, "group": train.patients, "pathology": pathology}
    return pd.DataFrame(columns).assign(modality="real", database="real", official_fold=np.nan)
