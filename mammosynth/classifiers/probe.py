"""Probes: logistic regression on the features of a frozen network (Alain and Bengio 2017).

Both classes weigh as much, so that probabilities are those at equal shares, as a network's are. Features are
standardised by the mix's own images.  There are no steps: in a mix with ``classic`` an augmented copy of each image
lies beside it.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from mammosynth.arrays.statistics import area_under_roc
from mammosynth.classifiers.classifier import Classifier, Task
from mammosynth.classifiers.network import augment, unit_range
from mammosynth.gpu import describe
from mammosynth.networks.features import features

# Of the penalty, as its inverse: the least penalises most. All are tried, and the validation part chooses.
STRENGTHS = tuple(10.0 ** (exponent / 2) for exponent in range(-8, 1))


class Probe(Classifier):
    """Logistic regression with an L2 penalty, whose strength has the best AUROC (then least loss) on validation."""

    network = "efficientnet_lite0"

    def fit(self, task: Task) -> list[dict[str, Any]]:
        from sklearn.linear_model import LogisticRegression  # takes long

        began = time.monotonic()
        (training,) = task.training
        images, labels = training.images, training.labels
        if task.mix.phases[0].classic:
            copies = augment(unit_range(images), torch.Generator().manual_seed(task.seed))[:, 0]
            images = np.concatenate([images, (255 * copies).round().byte().numpy()])
            labels = np.concatenate([labels, labels])
        known = self.features(images)
        self.mean, self.sd = known.mean(0), np.maximum(known.std(0), 1e-6)
        known, unseen = self.standardised(known), self.standardised(self.features(task.validation.images))
        shares = len(labels) / np.bincount(labels)[labels] / 2
        rows, best = [], (-np.inf, -np.inf)
        for number, strength in enumerate(STRENGTHS, 1):
            model = LogisticRegression(C=strength, max_iter=1000).fit(known, labels, shares)
            logits = model.decision_function(unseen)
            row = {
                "step": number,
                "phase": 1,
                "loss": _loss(model.decision_function(known), labels, shares),
                "val_loss": _loss(logits, task.validation.labels),
                "val_auroc": float(area_under_roc(task.validation.labels, logits)),
                "seconds": round(time.monotonic() - began, 2),
                "device": describe(self.device),
                "strength": strength,
            }
            rows.append(row)
            if (worth := (row["val_auroc"], -row["val_loss"])) > best:
                best = worth
                self.weights, self.offset, self.strength = model.coef_[0], float(model.intercept_[0]), strength
        return rows

    def features(self, images: np.ndarray) -> np.ndarray:
        """Of uint8 images [N, H, W], float64 [N, d]."""
        return features(images, self.network, self.parameters[self.network], self.device).astype(np.float64)

    def standardised(self, features: np.ndarray) -> np.ndarray:
        """By mean and standard deviation of the training images."""
        return (features - self.mean) / self.sd

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        return expit(self.standardised(self.features(images)) @ self.weights + self.offset)

    def state(self) -> dict[str, Any]:
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("mean", "sd", "weights")}
        return arrays | {"offset": self.offset, "strength": self.strength}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.mean, self.sd, self.weights = (state[name].numpy() for name in ("mean", "sd", "weights"))
        self.offset, self.strength = state["offset"], state["strength"]


class SqueezeNetProbe(Probe):
    """The same on SqueezeNet's features, which no GAN here is trained against."""

    network = "squeezenet"


def _loss(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean cross-entropy, in nats."""
    return float(np.average(np.logaddexp(0, np.where(labels == 1, -logits, logits)), weights=weights))
