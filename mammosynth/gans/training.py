"""One training loop for all GANs, and what it leaves: a generator's file, a history, pictures of its progress."""

import contextlib
import csv
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mammosynth import __version__
from mammosynth.arrays.grid import GAP, tile
from mammosynth.checkpoint import Checkpoint, fingerprint, noticing, write
from mammosynth.digests import sha256_of
from mammosynth.errors import InputError
from mammosynth.files import replacing
from mammosynth.gans import METHODS, gan_class
from mammosynth.gans.choice import LATENTS, Best, Judge, networks_of
from mammosynth.gans.gan import Gan, Losses, Reals
from mammosynth.gans.settings import Settings
from mammosynth.gans.transfer import Origin, read_generator
from mammosynth.gans.watching import Board
from mammosynth.gpu import device
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.progress import track

log = logging.getLogger("mammosynth")

RECORDS = 200  # rows of the history a network, at most, beside those of evaluations
SNAPSHOTS = 6  # times that the progress is pictured at, the random start and the end included
SNAPSHOT_IMAGES = 4  # a class
CHECK_EVERY = 50  # steps between checks that the training is still one
COLLAPSED = 0.02  # of the spread of real images: below, all images of a class are one
DIVERGED = 1e6  # a loss beyond which no training came back


def train(
    images: ImageSet,
    settings: Settings,
    seed: int,
    *,
    generator: Path,
    history: Path,
    progress: Path,
    checkpoint: Path,
    checkpoint_seconds: float = 300.0,
    validation: ImageSet | None = None,
    extractor: str = "",
    parameters: dict[str, Path] | None = None,
    start_from: Path | None = None,
    held_out: Path | None = None,
    tensorboard: Path | None = None,
) -> None:
    """Train a GAN on the training ROIs and write *generator*, *history* (CSV) and *progress* (PNG).

    A training that was interrupted resumes from *checkpoint* and ends, on the CPU, in the same weights to the bit; one
    that was finished before gives its results back.

    validation, extractor: the validation part, and the feature network in which the step to keep is nearest to it; both
    needed only if ``settings.evaluate_every`` is set. parameters: files of the feature networks by name, of that one
    and of the one that the method is trained against. start_from: the generator file of another training to begin at.
    held_out: the fold's partition, whose validation and test part that other training must not have been given.
    tensorboard: a folder for TensorBoard's event files, if it is to have any.

    Raises InputError if a class has no image, if *start_from* does not fit or was given a held-out ROI, if the training
    diverges or collapses, and if memory or disk are full; CutOff if the process was told to end.
    """
    judged = validation if settings.evaluate_every else None
    _refuse_too_few(images, judged, settings.method)
    origin = Origin(start_from, held_out) if start_from else None
    parameters = parameters or {}
    networks = set(filter(None, [METHODS[settings.method].feature_network, extractor if judged is not None else None]))
    decisive: list[Any] = [sha256_of(parameters[name]) for name in sorted(networks & set(parameters))]
    decisive += [judged, extractor] if judged is not None else []
    decisive += [origin.fingerprint] if origin else []
    modules = [__name__, METHODS[settings.method].module, *(NETWORKS[name].module for name in sorted(networks))]
    key = fingerprint(modules, settings.flat(), seed, images, *decisive)
    kept, outputs = Checkpoint(checkpoint, key), (generator, history, progress)
    if kept.give_back(outputs):
        return

    with _memory(settings):
        judge = Judge(judged, extractor, parameters[extractor], device()) if judged is not None else None
        torch.manual_seed(seed)  # not before: making the judge's network takes random numbers, but only once a process
        gan = gan_class(settings.method)(settings)
        if origin:
            origin.transfer(gan)
        gan.start(device(), parameters.get(gan.feature_network))
        run = _Run(gan, images, judge, history, progress)
        if saved := kept.load():
            run.load_state(saved)
            log.info("resumes at step %d of %d", run.step, settings.steps)
        if tensorboard:
            run.board = Board(tensorboard, run.step)
        log.info("%s on %s, %s: %s", settings, gan.device, "bfloat16" if gan.in_bfloat16 else "float32", _sizes(gan))
        if settings.batch > min(len(images.of_class(name)) for name in CLASSES):
            log.info("a batch of %d holds some ROIs of a class more than once", settings.batch)
        with noticing() as cut:
            for seconds in run.steps():
                if seconds >= checkpoint_seconds or cut.signal:
                    kept.save(run.state())
                    run.saved()
                if cut.signal:
                    cut.end(run.step, settings.steps)
        run.finish()
    content = {
        **run.kept(),
        "settings": settings.flat(),
        "seed": seed,
        "fingerprint": key,
        "version": __version__,
        "ids": images.ids.tolist() + (origin.ids if origin else []),
        "history": run.rows[-1],
    }
    write(content, generator)
    kept.finish(outputs)


def _refuse_too_few(images: ImageSet, judged: ImageSet | None, method: str) -> None:
    for name in CLASSES:
        if not len(images.of_class(name)):
            raise InputError(f"the training part holds no {name} ROI, and {method} learns both classes")
        if judged is not None and len(judged.of_class(name)) < 2:
            raise InputError(
                f"the validation part holds fewer than two {name} ROIs, too few to choose a step by: lower "
                "partition.folds, or set evaluate_every to 0 to keep the last step"
            )


@contextlib.contextmanager
def _memory(settings: Settings) -> Iterator[None]:
    """Says in one sentence that the GPU's memory is too small, if it is."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"the GPU's memory is too small for {settings.method} of width {settings.width} with batches of "
            f"{settings.batch}: lower batch or width in its settings ({str(error).splitlines()[0]})"
        ) from error


class _Run:
    """A training under way: the GAN, where it is, and what is recorded of it."""

    def __init__(self, gan: Gan, images: ImageSet, judge: Judge | None, history: Path, progress: Path) -> None:
        self.gan, self.images, self.judge = gan, images, judge
        self.history, self.progress = history, progress
        self.reals = Reals(images, gan.device, gan.settings.flips)
        self.best = Best()
        self.board: Board | None = None
        self.rows: list[dict[str, float | str]] = []
        self.pictures: dict[float, torch.Tensor] = {}
        self.real_spread = [_spread(images.of_class(name).images) for name in CLASSES]
        self.spread = math.inf  # of synthetic images at the last check, as a share of the real ones'
        self.step, self.seconds = 0, 0.0
        self._saved_at = self._ticked_at = time.monotonic()
        self._rated = (0, 0.0)

    def state(self) -> dict[str, Any]:
        """All that a resumed training needs."""
        self._tick()
        state = {"gan": self.gan.state(), "reals": self.reals.state(), "best": self.best.state()}
        state["random"] = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        return state | {name: getattr(self, name) for name in ("rows", "pictures", "spread", "step", "seconds")}

    def load_state(self, state: dict[str, Any]) -> None:
        self.gan.load_state(state["gan"])
        self.reals.load_state(state["reals"])
        self.best.load_state(state["best"])
        for name in ("rows", "pictures", "spread", "step", "seconds"):
            setattr(self, name, state[name])
        self._rated = (self._images(), self.seconds)
        torch.set_rng_state(state["random"]["cpu"])
        if len(state["random"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random"]["cuda"])
        else:
            log.warning("the checkpoint is of another kind of device: what follows is not what one device would make")

    def saved(self) -> None:
        """A checkpoint was written just now."""
        self._saved_at = time.monotonic()

    def steps(self) -> Iterator[float]:
        """Train; yield, between steps, the seconds since the last checkpoint."""
        gan, settings = self.gan, self.gan.settings
        record_every = max(1, settings.steps // RECORDS)
        pictured = {round(settings.steps * k / (SNAPSHOTS - 1)) for k in range(SNAPSHOTS)}
        if self.step == 0:
            self._picture()
        for step in track(range(self.step, settings.steps), settings.method, settings.steps, self.step, self._newest):
            gan.set_rate(step)
            losses = gan.step(self.reals)
            gan.update_average(step)
            self.step = step + 1
            last = self.step == settings.steps
            evaluating = settings.evaluate_every and (self.step % settings.evaluate_every == 0 or last)
            if self.step % CHECK_EVERY == 0 or last:
                self._check(losses)
            if evaluating or last or (self.step in pictured and not settings.evaluate_every):
                self._picture()
            if evaluating or last or self.step % record_every == 0:
                self._record(losses, self._evaluate() if evaluating else {})
            if settings.patience and self.best.evaluations_since >= settings.patience:
                log.info(
                    "stops at step %d: no nearer to the validation part for %d evaluations",
                    self.step,
                    settings.patience,
                )
                return
            if not last:
                yield time.monotonic() - self._saved_at

    def finish(self) -> None:
        """Take up the networks to keep, and leave the last history and pictures."""
        for name, found in self.best.found.items():
            log.info("%s: step %d is kept, KD %.4g", name, found["step"], found["distance"])
            self.gan.average.load_state_dict(found["weights"], strict=False)
        self._write_history()
        kept = "kept" if self.best.found else ""
        _draw_progress(self.pictures | ({math.inf: self._synthesised()} if kept else {}), self.progress)

    def kept(self) -> dict[str, Any]:
        """Averaged generators ("weights") and critics, and the step that each name's are of ("steps")."""
        found = self.best.found or {
            name: {"step": self.step, **networks_of(self.gan, name)} for name, _ in self.gan.names()
        }
        merged = {
            part: {k: v for one in found.values() for k, v in one[part].items()} for part in ("weights", "critics")
        }
        return merged | {"steps": {name: one["step"] for name, one in found.items()}}

    def _images(self) -> int:
        return self.step * self.gan.images_a_step()

    def _tick(self) -> None:
        now = time.monotonic()
        self.seconds, self._ticked_at = self.seconds + now - self._ticked_at, now

    def _evaluate(self) -> dict[str, float]:
        assert self.judge is not None, "an evaluation needs the validation part"
        distances = self.judge.distances(self.gan, self.images)
        self.best.note(self.gan, distances, self.step)
        return distances

    def _record(self, losses: Losses, distances: dict[str, float]) -> None:
        self._tick()
        images, seconds = self._images(), self.seconds
        rate = (images - self._rated[0]) / max(seconds - self._rated[1], 1e-9)
        self._rated = (images, seconds)
        row = {"step": self.step, "images": images, "seconds": round(seconds, 2), "images_per_second": round(rate, 2)}
        for name, values in losses.items():
            numbers = {key: float(value) for key, value in values.items()}
            self._refuse_divergence(name, numbers)
            slopes = {"d_gradient": _slope(self.gan.critics, name), "g_gradient": _slope(self.gan.generators, name)}
            learning_rate = self.gan.generator_adam.rate
            found = {"kd": distances.get(name, "")} if self.judge else {}
            self.rows.append({**row, "class": name, "learning_rate": learning_rate, **numbers, **slopes, **found})
            if self.board:
                self.board.row(self.rows[-1])
        self._write_history()

    def _newest(self) -> str:
        """The newest losses, as recorded, and where the images were nearest to the validation part so far."""
        newest = []
        for row in self.rows[-len([*self.gan.names()]) :]:
            newest += [f"{key} of {row['class']} {row[key]:.3g}" for key in row if key.endswith("_loss")]
        newest += [f"KD of {name} {at['distance']:.4g} at step {at['step']}" for name, at in self.best.found.items()]
        return "; ".join(newest)

    def _check(self, losses: Losses) -> None:
        for name, values in losses.items():
            self._refuse_divergence(name, {key: float(value) for key, value in values.items()})
        made = self._synthesised().numpy().reshape(len(CLASSES), SNAPSHOT_IMAGES, *self.images.images.shape[1:])
        shares = {n: _spread(i) / real for n, i, real in zip(CLASSES, made, self.real_spread) if real}
        if not shares:
            return
        (least, name), before = min((share, name) for name, share in shares.items()), self.spread
        self.spread = least
        if least < COLLAPSED:
            log.warning("step %d: all synthetic %s images are nearly the same", self.step, name)
            # Some generators begin at one grey image: it is a collapse only if images do not come apart again.
            if before < COLLAPSED and least <= before:
                raise InputError(
                    f"step {self.step}: {self.gan.settings.method} has collapsed, all its {name} images are one "
                    f"({_shown(losses)}): try a lower learning_rate, diffaugment, lecam or another seed"
                )

    def _refuse_divergence(self, name: str, numbers: dict[str, float]) -> None:
        if not all(math.isfinite(number) and abs(number) < DIVERGED for number in numbers.values()):
            raise InputError(
                f"step {self.step}: {self.gan.settings.method} has diverged, the losses of {name} are {numbers}: "
                "try a lower learning_rate, r1, lecam or precision: float32"
            )

    def _synthesised(self) -> torch.Tensor:
        return torch.from_numpy(self.gan.synthesise(SNAPSHOT_IMAGES, self.images, LATENTS).images)

    def _picture(self) -> None:
        self.pictures[self.step] = self._synthesised()
        if self.board:
            self.board.picture(self.step, self.pictures[self.step])
        if len(self.pictures) > 2 * SNAPSHOTS:
            self.pictures = {step: self.pictures[step] for step in sorted(self.pictures)[::2]}
        _draw_progress(self.pictures, self.progress)

    def _write_history(self) -> None:
        with replacing(self.history) as part, open(part, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)


def _spread(images: np.ndarray) -> float:
    """How far images [N, H, W] differ: the standard deviation over them, in grey levels, mean over pixels."""
    return float(images.std(0).mean())


def _slope(networks: torch.nn.ModuleDict, name: str) -> float:
    """Norm of the gradient that the last update of the networks trained under *name* took."""
    mine = networks.parameters() if name == "all" else networks[name].parameters()
    gradients = [weight.grad for weight in mine if weight.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients))


def _shown(losses: Losses) -> str:
    return "; ".join(f"{key} of {name} {float(v):.3g}" for name, values in losses.items() for key, v in values.items())


def _sizes(gan: Gan) -> str:
    def millions(networks: torch.nn.Module) -> float:
        return sum(parameter.numel() for parameter in networks.parameters()) / 1e6

    return f"{millions(gan.generators):.2f} M weights in generators, {millions(gan.critics):.2f} M in critics"


def _draw_progress(pictures: dict[float, torch.Tensor], path: Path) -> None:
    """A grid with a row for each time and the same latents, or sources, in each column; step ∞ is what is kept."""
    left, top = 170, 36
    steps = sorted(pictures)
    grid = tile(np.concatenate([pictures[step].numpy() for step in steps]), 2 * SNAPSHOT_IMAGES)
    side = pictures[steps[0]].shape[-1] + GAP
    sheet = Image.new("L", (left + grid.shape[1], top + grid.shape[0]), 255)
    sheet.paste(Image.fromarray(grid), (left, top))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=26)
    for i, name in enumerate(CLASSES):
        draw.text((left + i * SNAPSHOT_IMAGES * side, 4), name, fill=0, font=font)
    for row, step in enumerate(steps):
        title = "kept" if step == math.inf else f"step {step}"
        draw.text((4, top + row * side + side // 2), title, fill=0, font=font, anchor="lm")
    with replacing(path) as part:
        sheet.save(part, format="PNG")


def load_generator(path: Path) -> Gan:
    """The trained GAN in *path*, its ``average`` ready to synthesise on the job's device.

    Raises InputError if *path* is not a trained generator, or one of a version whose networks were others.
    """
    content = read_generator(path)
    try:
        settings = Settings.of(content["settings"])
        gan = gan_class(settings.method)(settings)
        gan.average.load_state_dict(content["weights"])
    except (TypeError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} was trained by mammosynth {content.get('version')} and does not fit {__version__} ({reason}): "
            "delete it to train it again, or use the version that made it"
        ) from error
    gan.start(device())
    return gan
