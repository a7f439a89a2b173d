"""The first step of quality: what is to be said of each image by itself. One set of images at a time, with torch.

Of each image: features by every network, the measures of single images (`OfImages`), how likely a classifier takes it
for malignant, and its nearest training ROIs. What these come to for a set, and what compares sets, is the second step,
see ``assess``, which takes no more than these tables and features.

**Labels**: a classifier of the split's real training ROIs judges whether a synthetic ROI looks like the class that it
was made to be. Of the real ROIs it has seen all but those of the validation part, so these are the reference. Its step
and its threshold were chosen by them: no other real ROIs may be looked at, and their value is a little high. It has
also seen the sources of translations, under the other label, and may recognise them: their value is a low one.

**Novelty** is of the nearest training ROI of either class, of other patients than the image's own or its source's: see
``novelty``. Held-out real ROIs are the reference there too.

All but the classifier's answer is kept by content, see `mammosynth.kept`: one more network or measure, and another
classifier, compute what is new alone.

A measure of single images may read, by these names: images uint8 [N, H, W]; labels [N]; any parameter file;
niqe_model, fitted to the training ROIs; and, but of the training ROIs themselves: probability [N], threshold; nearest
(`Nearest`), limits (`Limits`), and known, features of the training ROIs on the network that finds the nearest, the
first of the study's.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mammosynth.arrays.statistics import youden_threshold
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.kept import kept
from mammosynth.networks.kept import kept_features
from mammosynth.quality.measures import HELD_OUT, REAL, OfImages, measures_of
from mammosynth.quality.naturalness import NiqeModel, fit_niqe
from mammosynth.quality.novelty import Nearest, find_nearest, limits, nearest_columns, units_of
from mammosynth.quality.reference import Reference

NEAREST, NIQE_MODEL = "mammosynth.quality.novelty:find_nearest", "mammosynth.quality.naturalness:fit_niqe"
Classify = Callable[[np.ndarray], np.ndarray]  # uint8 [N, H, W] -> probability of malignancy [N]


class Describer:
    """Describes sets of images of one study."""

    def __init__(
        self,
        networks: list[str],
        parameters: Mapping[str, str | Path],
        classify: Classify | None,
        folder: str | Path,
        device: torch.device | str = "cpu",
    ) -> None:
        """networks: names of ``NETWORKS``, the first of which says which images are nearest; parameters: files of these
        and of the measures, by name; classify: a classifier of the training ROIs, or None: labels are then not judged;
        folder: see `mammosynth.kept`.
        """
        self.networks, self.classify, self.folder, self.device = networks, classify, Path(folder), device
        self.parameters = {name: Path(file) for name, file in parameters.items()}

    def real(self, train: ImageSet, held_out: ImageSet) -> tuple[pd.DataFrame, Reference]:
        """A line for each real ROI, and what synthetic images are described beside.

        train: the training part; held_out: the validation part, real ROIs that no generator was trained on.

        Raises InputError if there are too few ROIs for limits.
        """
        features, near = self.features(train), self.networks[0]
        among = self._nearest(train, features[near], train.patients, train, features[near])
        model = kept(self.folder, NIQE_MODEL, (train.images,), lambda: fit_niqe(train.images)._asdict())
        threshold = youden_threshold(held_out.labels, self.classify(held_out.images)) if self.classify else np.nan
        reference = Reference(features, model, limits(among), threshold)
        measures = [measure for measure in measures_of(OfImages) if measure.reference == REAL]
        tables = [
            _table(REAL, train, self._values(measures, train, reference)),
            self._beside(HELD_OUT, held_out, self._features(held_out, near), held_out.patients, train, reference),
        ]
        return pd.concat(tables, ignore_index=True), reference

    def synthetic(
        self, generator: str, images: ImageSet, train: ImageSet, reference: Reference
    ) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """A line for each image of a generator, and their features by network.

        Raises InputError if a source is not in the training part.
        """
        units, features = units_of(generator, images, train), self.features(images)
        return self._beside(generator, images, features[self.networks[0]], units, train, reference), features

    def features(self, images: ImageSet) -> dict[str, np.ndarray]:
        """Features float32 [N, d] of a set, by network."""
        return {name: self._features(images, name) for name in self.networks}

    def _features(self, images: ImageSet, network: str) -> np.ndarray:
        return kept_features(images.images, network, self.parameters[network], self.folder, self.device)

    def _nearest(
        self, images: ImageSet, features: np.ndarray, units: np.ndarray, train: ImageSet, known: np.ndarray
    ) -> Nearest:
        given = images.images, features, units, train.images, known, train.patients
        return Nearest(**kept(self.folder, NEAREST, given, lambda: vars(find_nearest(*given))))

    def _beside(
        self,
        generator: str,
        images: ImageSet,
        features: np.ndarray,
        units: np.ndarray,
        train: ImageSet,
        real: Reference,
    ) -> pd.DataFrame:
        """A line for each of images that stand beside the training ROIs."""
        known, judged = real.features[self.networks[0]], {}
        nearest = self._nearest(images, features, units, train, known)
        if self.classify:
            judged = {"probability": self.classify(images.images)}
        beside = {"nearest": nearest, "limits": real.limits, "known": known, "threshold": real.threshold, **judged}
        measures = [m for m in measures_of(OfImages) if self.classify or "probability" not in m.reads]
        values = self._values(measures, images, real, **beside)
        return _table(generator, images, {**judged, **nearest_columns(nearest, train), **values})

    def _values(
        self, measures: Iterable[OfImages], images: ImageSet, real: Reference, **beside: Any
    ) -> dict[str, np.ndarray]:
        """Values [N] by measure; beside: what they may read that the training ROIs themselves have not."""
        model = NiqeModel(real.niqe["mean"], real.niqe["covariance"])
        given = {"images": images.images, "labels": images.labels, "niqe_model": model, **self.parameters, **beside}
        return {measure.name: self._value(measure, given) for measure in measures}

    def _value(self, measure: OfImages, given: Mapping[str, Any]) -> np.ndarray:
        read = [given[name] for name in measure.reads]
        found = kept(
            self.folder, measure.function, (measure.computed, *read), lambda: {"values": measure.compute(*read)}
        )
        return found["values"].astype(float)


def _table(generator: str, images: ImageSet, values: dict[str, np.ndarray]) -> pd.DataFrame:
    """A line an image: what it is, and its values."""
    pathology = np.array(CLASSES)[images.labels]
    table = pd.DataFrame({"generator": generator, "id": images.ids, "pathology": pathology, "source": images.sources})
    return table.assign(**values)
