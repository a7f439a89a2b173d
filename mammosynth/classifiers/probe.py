"""Probes: logistic regression on the features of a frozen network (Alain and Bengio 2017).

Both classes weigh as much, so that probabilities are those at equal shares, as a network's are. Features are
standardised by the mix's own images.  There are no steps: in a mix with ``classic`` an augmented copy of each image
lies beside it; in one of several phases, whatever their shares, each begins from the weights of the one before, and its
penalty is on the distance from these.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from mammosynth.arrays.logistic import fit_logistic
from mammosynth.arrays.statistics import area_under_roc
from mammosynth.classifiers.classifier import Classifier, Task
from mammosynth.classifiers.network import augment, unit_range
from mammosynth.gpu import describe
from mammosynth.imageset import ImageSet
from mammosynth.networks.features import features
from mammosynth.networks.kept import kept_features_of

# All are tried, from the strongest, and the validation part chooses.
PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(4, -7, -1))


class Probe(Classifier):
    """Logistic regression with the quadratic penalty that has the best AUROC (then least loss) on validation."""

    network = "efficientnet_lite0"

    def fit(self, task: Task) -> list[dict[str, Any]]:
        phases = [self._known(task, number) for number in range(len(task.training))]
        known = np.concatenate([features for features, _ in phases])
        self.mean, self.sd = known.mean(0), np.maximum(known.std(0), 1e-6)
        self.weights, self.offset = np.zeros(known.shape[1]), 0.0
        unseen = self.standardised(self.features(task.validation.images))
        rows: list[dict[str, Any]] = []
        for number, (features_of_phase, labels) in enumerate(phases, 1):
            found = self._fit_phase(self.standardised(features_of_phase), labels, unseen, task.validation.labels)
            rows += [{"step": len(rows) + step, "phase": number} | row for step, row in enumerate(found, 1)]
        return rows

    def _known(self, task: Task, phase: int) -> tuple[np.ndarray, np.ndarray]:
        """Features and labels of what a phase is fitted to."""
        training: ImageSet = task.training[phase]
        images, labels = training.images, training.labels
        known = self.features(images, [drawn.images for drawn in task.drawn_from])
        if task.mix.phases[phase].classic:
            augmented = augment(unit_range(images), torch.Generator().manual_seed(task.seed))[:, 0]
            copies = (255 * augmented).round().byte().numpy()
            of_copies = features(copies, self.network, self.parameters[self.network], self.device)
            known, labels = np.concatenate([known, of_copies]), np.concatenate([labels, labels])
        return known, labels

    def _fit_phase(
        self, known: np.ndarray, labels: np.ndarray, unseen: np.ndarray, labels_of_unseen: np.ndarray
    ) -> list[dict[str, Any]]:
        """Move weights and offset from where they are to what the validation part chooses; a row a penalty."""
        began, shares = time.monotonic(), 1 / np.bincount(labels)[labels]
        prior, at = self.weights, (self.weights, self.offset)
        rows, best = [], (-np.inf, -np.inf)
        for penalty in PENALTIES:
            at = fit_logistic(known, labels, shares, penalty, prior, at)
            weights, offset = at
            logits = unseen @ weights + offset
            row = {
                "loss": _loss(known @ weights + offset, labels, shares),
                "val_loss": _loss(logits, labels_of_unseen),
                "val_auroc": float(area_under_roc(labels_of_unseen, logits)),
                "seconds": round(time.monotonic() - began, 2),
                "device": describe(self.device),
                "penalty": penalty,
            }
            rows.append(row)
            if (worth := (row["val_auroc"], -row["val_loss"])) > best:
                best = worth
                self.weights, self.offset, self.penalty = weights, offset, penalty
        return rows

    def features(self, images: np.ndarray, drawn_from: Sequence[np.ndarray] = ()) -> np.ndarray:
        """Of uint8 images [N, H, W], float64 [N, d]; drawn_from: sets that most of them are in, if they are no set."""
        network = self.network, self.parameters[self.network]
        if self.kept is None:
            return features(images, *network, self.device).astype(np.float64)
        return kept_features_of(images, drawn_from or [images], *network, self.kept, self.device).astype(np.float64)

    def standardised(self, features: np.ndarray) -> np.ndarray:
        """By mean and standard deviation of the training images."""
        return (features - self.mean) / self.sd

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        return expit(self.standardised(self.features(images)) @ self.weights + self.offset)

    def state(self) -> dict[str, Any]:
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("mean", "sd", "weights")}
        return arrays | {"offset": self.offset, "penalty": self.penalty}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.mean, self.sd, self.weights = (state[name].numpy() for name in ("mean", "sd", "weights"))
        self.offset, self.penalty = state["offset"], state["penalty"]


class SqueezeNetProbe(Probe):
    """The same on SqueezeNet's features, which no GAN here is trained against."""

    network = "squeezenet"


def _loss(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean cross-entropy, in nats."""
    return float(np.average(np.logaddexp(0, np.where(labels == 1, -logits, logits)), weights=weights))
