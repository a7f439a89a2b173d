"""Which step of a training to keep: the one whose images are nearest to the validation part by kernel distance (KD).

Adversarial losses do not say when images are best, and small training sets are learned by heart in the end. At each
evaluation the averaged generators synthesise the same latents; their images' squared maximum mean discrepancy from the
validation part (Bińkowski et al. 2018; KID, where the features are Inception's) is unbiased in the number of images,
so that few will do. Each class is compared with its own, and classes made by one pair of networks count equally.

The features are those of an extractor that no GAN of the study is trained against. The latents are none that a study
synthesises with: images that the step was chosen by would be better than the generator's others.
"""

import logging
from pathlib import Path
from typing import Any

import torch

from mammosynth.arrays.distances import kernel_distance
from mammosynth.gans.gan import Gan
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks.features import features

log = logging.getLogger("mammosynth")

LATENTS = 2**31  # the seed of what is evaluated while training: beyond all seeds of a study, which end below it
IMAGES = 50  # of a class at least; as many as the validation part has, if it has more


class Judge:
    """Measures generators against the validation part."""

    def __init__(self, validation: ImageSet, extractor: str, weights: Path, device: torch.device) -> None:
        """validation: at least two ROIs a class; extractor: a name of ``NETWORKS``; weights: its parameter file."""
        self.extractor, self.weights, self.device = extractor, weights, device
        found = features(validation.images, extractor, weights, device)
        self.reference = [found[validation.labels == label] for label in range(len(CLASSES))]
        self.images = max(IMAGES, *map(len, self.reference))

    def distances(self, gan: Gan, reals: ImageSet) -> dict[str, float]:
        """Kernel distance of what the averaged generators make, by the names that ``gan.names()`` gives."""
        made = gan.synthesise(self.images, reals, LATENTS)
        found = features(made.images, self.extractor, self.weights, self.device)
        of_class = [
            kernel_distance(reference, found[made.labels == label]) for label, reference in enumerate(self.reference)
        ]
        return {name: sum(of_class[label] for label in classes) / len(classes) for name, classes in gan.names()}


class Best:
    """The networks at their best evaluation so far, and how long ago that was."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.evaluations_since = 0

    def note(self, gan: Gan, distances: dict[str, float], step: int) -> None:
        """Keep the networks of each name that came nearer than before; the first evaluation is always kept."""
        self.evaluations_since += 1
        for name, distance in distances.items():
            if name not in self.found or distance < self.found[name]["distance"]:
                self.evaluations_since = 0
                self.found[name] = {"distance": distance, "step": step, **networks_of(gan, name)}

    def state(self) -> dict[str, Any]:
        """What a resumed training needs."""
        return {"found": self.found, "evaluations_since": self.evaluations_since}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` returned."""
        self.found, self.evaluations_since = state["found"], state["evaluations_since"]


def networks_of(gan: Gan, name: str) -> dict[str, dict[str, torch.Tensor]]:
    """Copies of the averaged generators ("weights") and of the critics that are trained under *name*."""

    def copied(networks: torch.nn.Module) -> dict[str, torch.Tensor]:
        mine = {key: value for key, value in networks.state_dict().items() if name in ("all", key.split(".")[0])}
        return {key: value.detach().clone() for key, value in mine.items()}

    return {"weights": copied(gan.average), "critics": copied(gan.critics)}
