"""What all classifiers have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mammosynth.checkpoint import Checkpoint
from mammosynth.classifiers.mixes import Mix
from mammosynth.imageset import ImageSet


@dataclass(frozen=True)
class Task:
    """What a classifier is fitted to.

    training: the images of each phase of *mix*, at least one of both classes in each; validation: the only part beside
    it that may decide anything; checkpoint: where a training that takes long leaves its state, every
    *checkpoint_seconds* and when it is told to end; drawn_from: the sets that the training images were drawn from, as
    far as they are known.
    """

    mix: Mix
    training: Sequence[ImageSet]
    validation: ImageSet
    seed: int
    checkpoint: Checkpoint
    checkpoint_seconds: float
    drawn_from: Sequence[ImageSet] = ()


class Classifier(ABC):
    """A classifier of one mix: fitted, kept in a file, read again.

    settings: those that its entry takes and its own, by name, all given; device: what it computes on; parameters: the
    parameter file of each feature network that its entry names (of others too, perhaps), by the network's name; kept:
    the folder of features that are kept, see `mammosynth.networks.kept`, if they are. It is made alike for fitting and
    for reading, and then holds what ``load_state`` gives it.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        device: torch.device,
        parameters: Mapping[str, str | Path],
        kept: str | Path | None = None,
    ) -> None:
        self.settings, self.device, self.parameters, self.kept = settings, device, parameters, kept

    @abstractmethod
    def fit(self, task: Task) -> list[dict[str, Any]]:
        """Fit to the task, torch's random numbers being those of its seed.

        Returns the history, a row an evaluation on the validation part (or a strength tried, numbered), in order:
        ``step``, ``phase`` (from 1), ``loss`` (training, nats), ``val_loss``, ``val_auroc``, ``seconds`` since the
        start, ``device`` (see `mammosynth.gpu.describe`); more if there are.
        """

    @abstractmethod
    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Probability of malignancy float64 [N] of uint8 images [N, H, W], at equal shares of both classes.

        That of an image does not depend on its fellows.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What is kept of it beside its settings: tensors, numbers and text alone, in dicts and lists."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state`` returned."""
