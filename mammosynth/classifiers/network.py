"""Classifiers that are networks: one training for all of them, and what their images go through.

What the paper does not state is our choice and the same for every mix: AdamW with a cosine schedule; batches with
equally many images of both classes; grey values normalised by mean and standard deviation of the mix's own images,
where a network has no normalisation of its own; the step with the best AUROC of the validation part kept.  All mixes
get the same number of steps, so none is trained longer because it has more images.

So does a mix of several phases: they share the steps, one optimiser and one schedule.  What belongs to the network that
comes out belongs to its last phase, which makes it: the step is chosen among those of that phase, as any earlier one is
of another mix; and grey values are normalised by that phase's images throughout, so that images are normalised alike
whatever came before.
"""

import itertools
import logging
import math
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mammosynth.adam import Adam
from mammosynth.arrays.statistics import area_under_roc
from mammosynth.checkpoint import noticing
from mammosynth.classifiers.classifier import Classifier, Task
from mammosynth.gpu import describe, has_bfloat16
from mammosynth.imageset import CLASSES

log = logging.getLogger("mammosynth")

# Classical augmentation: the largest rotation in degrees, shift in fractions of the side, relative zoom, and changes of
# grey values (gain, and offset in units of the full range).
ROTATION, SHIFT, ZOOM, GAIN, OFFSET = 10.0, 0.05, 0.1, 0.15, 0.05


class NetworkClassifier(Classifier):
    """A network with one logit; ``step`` is the one that is kept.

    A network of its own is made by ``make_network``. One that was trained before has ``start``, and ``rates`` and
    ``normalise`` where these are its own.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.network = self.make_network().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean, self.sd, self.step = 0.0, 1.0, 0

    @abstractmethod
    def make_network(self) -> nn.Module:
        """The network, its weights drawn at random: from what ``normalise`` returns to log-odds [N, 1]."""

    def start(self) -> None:
        """Load weights of an earlier training into ``network``; before fitting alone, and never to read a classifier.

        Raises InputError if they cannot be read or do not fit.
        """

    def rates(self) -> list[tuple[Iterable[Tensor], float]]:
        """The weights that are trained, each group with its learning rate at the first step."""
        return [(self.network.parameters(), self.settings["learning_rate"])]

    def normalise(self, images: Tensor) -> Tensor:
        """Network input of images [N, 1, H, W] in 0–1; ``mean`` and ``sd`` are those of the last phase's images."""
        return (images - self.mean) / self.sd

    @torch.inference_mode()
    def logits(self, images: np.ndarray, batch: int = 64) -> Tensor:
        """Log-odds of malignancy [N] of uint8 images [N, H, W], in float32 on the CPU."""
        self.network.eval()
        starts = range(0, len(images), batch)
        inputs = (self.normalise(unit_range(images[i : i + batch]).to(self.device)) for i in starts)
        return torch.cat([self.network(x)[:, 0].float().cpu() for x in inputs])

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        return torch.sigmoid(self.logits(images).double()).numpy()

    def fit(self, task: Task) -> list[dict[str, Any]]:
        """Train; see the module.  One that was cut off goes on from the task's checkpoint.

        On the CPU it then ends in the same weights to the bit.

        Raises InputError if a phase has no step, CutOff if the process was told to end.
        """
        torch.backends.cudnn.deterministic = True
        last = task.training[-1].images
        self.mean, self.sd = float(last.mean() / 255), float(max(last.std() / 255, 1e-3))
        self.start()
        run = _Run(self, task)
        if saved := task.checkpoint.load():
            run.load_state(saved)
            log.info("resumes at step %d of %d", run.step, run.steps)
        saved_at = time.monotonic()
        with noticing() as cut:
            for _ in run.train():
                if cut.signal or time.monotonic() - saved_at >= task.checkpoint_seconds:
                    task.checkpoint.save(run.state())
                    saved_at = time.monotonic()
                if cut.signal:
                    cut.end(run.step, run.steps)
        self.network.load_state_dict(run.best["weights"])
        self.step = run.best["step"]
        return run.history

    def state(self) -> dict[str, Any]:
        # Half precision halves the file; what it costs in accuracy is in the predictions, as these are made from it.
        weights = self.network.state_dict()
        weights = {name: value.half() if value.ndim == 4 else value for name, value in weights.items()}
        return {"network": weights} | {name: getattr(self, name) for name in ("mean", "sd", "step")}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.mean, self.sd, self.step = state["mean"], state["sd"], state["step"]


def unit_range(images: np.ndarray) -> Tensor:
    """Float images [N, 1, H, W] in 0–1 of uint8 images [N, H, W]."""
    return torch.from_numpy(images).float().div_(255)[:, None]


def balanced_batches(labels: np.ndarray, batch: int, steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Positions of the images of each step: equally many of both classes, each class in shuffled epochs of its own.

    A class smaller than its share of a batch repeats in it.  Of an odd batch the classes take the larger half in turn.
    """

    def stream(members: np.ndarray) -> Iterator[int]:
        while True:
            yield from rng.permutation(members)

    streams = [stream(np.flatnonzero(labels == label)) for label in range(len(CLASSES))]
    for step in range(steps):
        yield np.array([next(streams[(step + i) % len(streams)]) for i in range(batch)])


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Classical augmentation of images [N, 1, H, W] in 0–1.

    Each image gets its own left-right flip, small turn, shift, zoom and change of grey values.  None is turned upside
    down: depth and shadows of ultrasound point down.
    """
    n, (height, width) = len(images), images.shape[-2:]
    flip, turn, right, down, zoom, gain, offset = (2 * torch.rand(7, n, generator=generator) - 1).to(images.device)
    angle, scale = turn * math.radians(ROTATION), 1 + zoom * ZOOM
    sign = torch.where(flip < 0, -1.0, 1.0)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    affine = torch.stack(
        [
            torch.stack([sign * cosine, -sine * height / width, 2 * SHIFT * right], 1),
            torch.stack([sign * sine * width / height, cosine, 2 * SHIFT * down], 1),
        ],
        1,
    )
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    gain, offset = 1 + GAIN * gain[:, None, None, None], OFFSET * offset[:, None, None, None]
    return (moved * gain + offset).clamp(0, 1)


class _Run:
    """A training under way: the network, where it is, and the best that it was."""

    def __init__(self, classifier: NetworkClassifier, task: Task) -> None:
        self.classifier, self.task, self.device = classifier, task, classifier.device
        self.steps = classifier.settings["steps"]
        decay = classifier.settings["weight_decay"]
        self.optimisers = [Adam(weights, rate, decay=decay) for weights, rate in classifier.rates()]
        self.generator = torch.Generator().manual_seed(task.seed)
        self.ends = task.mix.ends(self.steps)
        self.step, self.phase, self.seconds = 0, 0, 0.0
        self.losses: list[Tensor] = []
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}

    def state(self) -> dict[str, Any]:
        """All that a resumed training needs."""
        return {
            "network": self.classifier.network.state_dict(),
            "optimisers": [optimiser.state() for optimiser in self.optimisers],
            "generator": self.generator.get_state(),
        } | {name: getattr(self, name) for name in ("step", "seconds", "losses", "history", "best")}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` returned."""
        self.classifier.network.load_state_dict(state["network"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state(saved)
        self.generator.set_state(state["generator"])
        for name in ("step", "seconds", "losses", "history", "best"):
            setattr(self, name, state[name])
        self.losses = [loss.to(self.device) for loss in self.losses]

    def train(self) -> Iterator[None]:
        """Train; yield between steps."""
        began = time.monotonic() - self.seconds
        for phase, rows in itertools.islice(self._batches(), self.step, None):
            self.phase = phase
            self._update(rows)
            self.step += 1
            self.seconds = time.monotonic() - began
            if self.step in self.ends or self.step % self.classifier.settings["evaluate_every"] == 0:
                self._evaluate()
            if self.step < self.steps:
                yield

    def _batches(self) -> Iterator[tuple[int, np.ndarray]]:
        """The phase of each step, and positions of its images."""
        rng, start = np.random.default_rng(self.task.seed), 0
        for phase, (images, end) in enumerate(zip(self.task.training, self.ends)):
            for rows in balanced_batches(images.labels, self.classifier.settings["batch"], end - start, rng):
                yield phase, rows
            start = end

    def _update(self, rows: np.ndarray) -> None:
        """One step on the phase's training images at *rows*."""
        classifier, training = self.classifier, self.task.training[self.phase]
        for optimiser in self.optimisers:
            optimiser.rate = optimiser.first_rate * (1 + math.cos(math.pi * self.step / self.steps)) / 2
        images = unit_range(training.images[rows]).to(self.device)
        if self.task.mix.phases[self.phase].classic:
            images = augment(images, self.generator)
        target = torch.from_numpy(training.labels[rows]).float().to(self.device)
        classifier.network.train()
        inputs = classifier.normalise(images).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bfloat16(self.device)):
            logits = classifier.network(inputs)[:, 0]
        loss = functional.binary_cross_entropy_with_logits(logits.float(), target)
        classifier.network.zero_grad()
        loss.backward()
        for optimiser in self.optimisers:
            optimiser.step()
        self.losses.append(loss.detach())

    def _evaluate(self) -> None:
        """Measure on the validation part, and keep the weights if they are the best of the last phase so far."""
        validation = self.task.validation
        logits = self.classifier.logits(validation.images)
        target = torch.from_numpy(validation.labels).float()
        row: dict[str, Any] = {
            "step": self.step,
            "phase": self.phase + 1,
            "loss": float(torch.stack(self.losses).mean()),
            "val_loss": float(functional.binary_cross_entropy_with_logits(logits, target)),
            "val_auroc": float(area_under_roc(validation.labels, logits.numpy())),
            "seconds": round(self.seconds, 2),
            "device": describe(self.device),
        }
        log.info("step %(step)d: loss %(loss).3f, validation loss %(val_loss).3f, AUROC %(val_auroc).3f", row)
        self.history.append(row)
        self.losses = []
        if self.phase < len(self.task.training) - 1:
            return
        worth = [row["val_auroc"], -row["val_loss"]]
        if not self.best or worth > self.best["worth"]:
            weights = {
                name: value.detach().cpu().clone() for name, value in self.classifier.network.state_dict().items()
            }
            self.best = {"worth": worth, "step": self.step, "weights": weights}
