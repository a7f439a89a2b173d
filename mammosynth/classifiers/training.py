"""Training a classifier: a torchvision ResNet with one input channel and one logit.

What the paper does not state is our choice and the same for every mix: AdamW with a cosine schedule; batches with
equally many images of both classes; grey values normalised by mean and standard deviation of the mix's own images; the
step with the best AUROC of the validation part kept.  All mixes get the same number of steps, so none is trained longer
because it has more images.

So does a mix of several phases: they share the steps, one optimiser and one schedule.  What belongs to the network that
comes out belongs to its last phase, which makes it: the step is chosen among those of that phase, as any earlier one is
of another mix; and grey values are normalised by that phase's images throughout, so that images are normalised alike
whatever came before.
"""

import csv
import itertools
import logging
import math
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mammosynth import __version__
from mammosynth.adam import Adam
from mammosynth.arrays.statistics import area_under_roc
from mammosynth.checkpoint import Checkpoint, fingerprint, noticing, write
from mammosynth.classifiers.mixes import Mix
from mammosynth.digests import sha256_of
from mammosynth.errors import InputError
from mammosynth.files import replacing
from mammosynth.gpu import has_bfloat16
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.vision import torchvision
from mammosynth.weights import read_weights

log = logging.getLogger("mammosynth")

ARCHITECTURES = ("resnet18", "resnet50")
# Classical augmentation: the largest rotation in degrees, shift in fractions of the side, relative zoom, and changes of
# grey values (gain, and offset in units of the full range).
ROTATION, SHIFT, ZOOM, GAIN, OFFSET = 10.0, 0.05, 0.1, 0.15, 0.05


@dataclass(frozen=True)
class Settings:
    """How a classifier is trained: the config's ``classifier`` without ``weights``."""

    architecture: str
    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    evaluate_every: int


@dataclass
class Classifier:
    """A network and the normalisation it was trained with (mean and sd of grey values in 0–1)."""

    network: nn.Module
    mean: float
    sd: float

    def normalise(self, images: Tensor) -> Tensor:
        """Network input of images in 0–1."""
        return (images - self.mean) / self.sd

    @torch.inference_mode()
    def logits(self, images: np.ndarray, batch: int = 64) -> Tensor:
        """Log-odds of malignancy [N] of uint8 images [N, H, W], in float32 on the CPU."""
        self.network.eval()
        device = next(self.network.parameters()).device
        inputs = (self.normalise(unit_range(images[i : i + batch]).to(device)) for i in range(0, len(images), batch))
        return torch.cat([self.network(x)[:, 0].float().cpu() for x in inputs])

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Probability of malignancy [N] of uint8 images [N, H, W], at the equal class shares of training."""
        return torch.sigmoid(self.logits(images).double()).numpy()


def unit_range(images: np.ndarray) -> Tensor:
    """Float images [N, 1, H, W] in 0–1 of uint8 images [N, H, W]."""
    return torch.from_numpy(images).float().div_(255)[:, None]


def build_network(architecture: str, weights: str | Path | None = None) -> nn.Module:
    """A torchvision ResNet for one grey channel and one logit.

    weights: a file of torchvision's ImageNet weights for the architecture; its first convolution is summed over the
    colour channels, which is what a grey image in all three would see.

    Raises InputError if the architecture is unknown or the weights are missing or do not fit.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"classifier.architecture {architecture!r} is not known: choose one of {', '.join(ARCHITECTURES)}"
        )
    network = getattr(torchvision.models, architecture)(num_classes=1)
    network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    if weights is not None:
        if not Path(weights).is_file():
            raise InputError(
                f"classifier.weights: {weights} does not exist; name a file, or null to train from scratch"
            )
        state = read_weights(weights, "a file of weights (classifier.weights)", "download it again, or name another")
        state = {name: value for name, value in state.items() if not name.startswith("fc.")}
        if "conv1.weight" in state:
            state["conv1.weight"] = state["conv1.weight"].sum(1, keepdim=True)
        if _shapes(state) != _shapes(network.state_dict()):
            raise InputError(
                f"classifier.weights: {weights} holds no torchvision {architecture}; take the file made for it"
            )
        network.load_state_dict(state, strict=False)
    return network


def _shapes(state: Mapping[str, Any]) -> dict[str, torch.Size | None]:
    """Shapes by name of what weights must bring: not the last layer, nor counts of batches, which older files lack."""
    kept = (name for name in state if not name.startswith("fc.") and not name.endswith("num_batches_tracked"))
    return {name: getattr(state[name], "shape", None) for name in kept}


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


def train(
    mix: Mix,
    training: Sequence[ImageSet],
    validation: ImageSet,
    settings: Settings,
    seed: int,
    device: torch.device,
    *,
    model: Path,
    history: Path,
    checkpoint: Path,
    checkpoint_seconds: float = 300.0,
    weights: str | Path | None = None,
) -> None:
    """Train a classifier and write *model* and *history*; the step of best validation AUROC (then least loss) is kept.

    training: the images of each phase of *mix*. model: what `read` takes. history: CSV; per evaluation step (also at
    the end of each phase), phase from 1, mean training loss since the last one, validation loss and AUROC, seconds
    since the start, device. A training that was cut off goes on from *checkpoint* and ends, on the CPU, in the same
    weights to the bit; one that was finished before gives its results back.

    Raises InputError if the training images or the validation part lack a class, if a phase has no step, and if the
    disk is full; CutOff if the process was told to end.
    """
    of_phases = [
        (f"phase {phase.name} of " if training[1:] else "", images) for phase, images in zip(mix.phases, training)
    ]
    parts = [(f"the images of {which}mix {mix.name}", images) for which, images in of_phases]
    for name, images in (*parts, ("the validation part", validation)):
        for label, pathology in enumerate(CLASSES):
            if not (images.labels == label).any():
                raise InputError(f"{name} hold no {pathology} ROI: a classifier needs both classes; add images")
    decisive = asdict(settings) | {"mix": mix.name, "weights": weights and sha256_of(weights)}
    key = fingerprint([__name__], decisive, seed, *training, validation)
    keeper, outputs = Checkpoint(checkpoint, key), (model, history)
    if keeper.give_back(outputs):
        return

    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    run = _Run(mix, training, validation, settings, seed, device, weights)
    if saved := keeper.load():
        run.load_state(saved)
        log.info("resumes at step %d of %d", run.step, settings.steps)
    saved_at = time.monotonic()
    with noticing() as cut:
        for _ in run.steps():
            if cut.signal or time.monotonic() - saved_at >= checkpoint_seconds:
                keeper.save(run.state())
                saved_at = time.monotonic()
            if cut.signal:
                cut.end(run.step, settings.steps)
    write(run.result() | {"fingerprint": key}, model)
    with replacing(history) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, run.history[0])
        writer.writeheader()
        writer.writerows(run.history)
    keeper.finish(outputs)


class _Run:
    """A training under way: the network, where it is, and the best that it was."""

    def __init__(
        self,
        mix: Mix,
        training: Sequence[ImageSet],
        validation: ImageSet,
        settings: Settings,
        seed: int,
        device: torch.device,
        weights: str | Path | None,
    ) -> None:
        self.mix, self.training, self.validation = mix, training, validation
        self.settings, self.seed, self.device = settings, seed, device
        self.classifier = Classifier(
            build_network(settings.architecture, weights).to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
            mean=float(training[-1].images.mean() / 255),
            sd=float(max(training[-1].images.std() / 255, 1e-3)),
        )
        self.optimiser = Adam(self.classifier.network.parameters(), settings.learning_rate, decay=settings.weight_decay)
        self.generator = torch.Generator().manual_seed(seed)
        self.ends = mix.ends(settings.steps)
        self.step, self.phase, self.seconds = 0, 0, 0.0
        self.losses: list[Tensor] = []
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}

    def state(self) -> dict[str, Any]:
        """All that a resumed training needs."""
        return {
            "network": self.classifier.network.state_dict(),
            "optimiser": self.optimiser.state(),
            "generator": self.generator.get_state(),
        } | {name: getattr(self, name) for name in ("step", "seconds", "losses", "history", "best")}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` returned."""
        self.classifier.network.load_state_dict(state["network"])
        self.optimiser.load_state(state["optimiser"])
        self.generator.set_state(state["generator"])
        for name in ("step", "seconds", "losses", "history", "best"):
            setattr(self, name, state[name])
        self.losses = [loss.to(self.device) for loss in self.losses]

    def steps(self) -> Iterator[None]:
        """Train; yield between steps."""
        began = time.monotonic() - self.seconds
        for phase, rows in itertools.islice(self._batches(), self.step, None):
            self.phase = phase
            self._update(rows)
            self.step += 1
            self.seconds = time.monotonic() - began
            if self.step in self.ends or self.step % self.settings.evaluate_every == 0:
                self._evaluate()
            if self.step < self.settings.steps:
                yield

    def _batches(self) -> Iterator[tuple[int, np.ndarray]]:
        """The phase of each step, and positions of its images."""
        rng, start = np.random.default_rng(self.seed), 0
        for phase, (images, end) in enumerate(zip(self.training, self.ends)):
            for rows in balanced_batches(images.labels, self.settings.batch, end - start, rng):
                yield phase, rows
            start = end

    def result(self) -> dict[str, Any]:
        """What `load` takes."""
        # Half precision halves the file; what it costs in accuracy is in the predictions, as these are made from it.
        weights = {name: value.half() if value.ndim == 4 else value for name, value in self.best["weights"].items()}
        return {
            "architecture": self.settings.architecture,
            "mean": self.classifier.mean,
            "sd": self.classifier.sd,
            "state": weights,
            "mix": self.mix.name,
            "seed": self.seed,
            "step": self.best["step"],
            "images": sum(map(len, self.training)),
            "version": __version__,
        }

    def _update(self, rows: np.ndarray) -> None:
        """One step on the phase's training images at *rows*."""
        settings, network, training = self.settings, self.classifier.network, self.training[self.phase]
        self.optimiser.rate = settings.learning_rate * (1 + math.cos(math.pi * self.step / settings.steps)) / 2
        images = unit_range(training.images[rows]).to(self.device)
        if self.mix.phases[self.phase].classic:
            images = augment(images, self.generator)
        target = torch.from_numpy(training.labels[rows]).float().to(self.device)
        network.train()
        inputs = self.classifier.normalise(images).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bfloat16(self.device)):
            logits = network(inputs)[:, 0]
        loss = functional.binary_cross_entropy_with_logits(logits.float(), target)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.losses.append(loss.detach())

    def _evaluate(self) -> None:
        """Measure on the validation part, and keep the weights if they are the best of the last phase so far."""
        logits = self.classifier.logits(self.validation.images)
        target = torch.from_numpy(self.validation.labels).float()
        row: dict[str, Any] = {
            "step": self.step,
            "phase": self.phase + 1,
            "loss": float(torch.stack(self.losses).mean()),
            "val_loss": float(functional.binary_cross_entropy_with_logits(logits, target)),
            "val_auroc": float(area_under_roc(self.validation.labels, logits.numpy())),
            "seconds": round(self.seconds, 2),
            "device": describe(self.device),
        }
        log.info("step %(step)d: loss %(loss).3f, validation loss %(val_loss).3f, AUROC %(val_auroc).3f", row)
        self.history.append(row)
        self.losses = []
        if self.phase < len(self.training) - 1:
            return
        worth = [row["val_auroc"], -row["val_loss"]]
        if not self.best or worth > self.best["worth"]:
            weights = {
                name: value.detach().cpu().clone() for name, value in self.classifier.network.state_dict().items()
            }
            self.best = {"worth": worth, "step": self.step, "weights": weights}


def read_saved(file: str | Path) -> dict[str, Any]:
    """What :func:`train` returned, from the file of it.  Raises InputError if that is damaged, or of something else."""
    saved = read_weights(file, "a classifier of mammosynth", "delete it and run again")
    if not isinstance(saved, dict) or not {"architecture", "state", "mean", "sd", "mix", "seed"} <= saved.keys():
        raise InputError(f"{file} is not a classifier of mammosynth: delete it and run again")
    return saved


def load(saved: Mapping[str, Any], device: torch.device) -> Classifier:
    """The classifier that :func:`train` returned."""
    network = build_network(saved["architecture"])
    network.load_state_dict(saved["state"])
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Classifier(network, saved["mean"], saved["sd"])


def read(file: str | Path, device: torch.device) -> Classifier:
    """The classifier of a file that a training left.  Raises InputError if it is damaged."""
    return load(read_saved(file), device)


def describe(device: torch.device) -> str:
    """The name of the device, for the report."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.cpu.get_capabilities().get('cpu_name') or platform.machine()})"
