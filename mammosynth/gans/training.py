"""One training loop for all GANs, and what it leaves: a generator's file, a history, pictures of its progress."""

import csv
import logging
import math
import os
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mammosynth import __version__
from mammosynth.errors import InputError
from mammosynth.gans import gan_class
from mammosynth.gans.checkpoint import Checkpoint, fingerprint
from mammosynth.gans.gan import Gan, Losses, Reals
from mammosynth.gans.settings import Settings
from mammosynth.gpu import device
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.progress import track

log = logging.getLogger("mammosynth")

RECORDS = 200  # rows of the history a network, at most
SNAPSHOTS = 6  # times that the progress is pictured at, the random start and the end included
SNAPSHOT_IMAGES = 4  # a class


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
) -> None:
    """Train a GAN on the training ROIs and write *generator*, *history* (CSV) and *progress* (PNG).

    A training that was cut off goes on from *checkpoint* and ends, on the CPU, in the same weights to the bit.

    Raises InputError if a class has no image; FloatingPointError if a loss is no longer a number.
    """
    for name in CLASSES:
        if not len(images.of_class(name)):
            raise InputError(f"the training part holds no {name} ROI, and {settings.method} learns both classes")
    key = fingerprint(images, settings, seed)
    keeper = Checkpoint(checkpoint, key)
    if all(path.exists() for path in (generator, history, progress)) and _fingerprint_of(generator) == key:
        log.info("%s was finished by an earlier job: nothing left to do", generator)
        keeper.delete()
        return

    torch.manual_seed(seed)
    gan = gan_class(settings.method)(settings)
    gan.start(device())
    reals = Reals(images, gan.device, settings.flips)
    rows: list[dict[str, float | str]] = []
    pictures: dict[int, torch.Tensor] = {}
    first, seconds = 0, 0.0
    if saved := keeper.load():
        gan.load_state(saved["gan"])
        reals.load_state(saved["reals"])
        rows, pictures, first, seconds = saved["rows"], saved["pictures"], saved["step"], saved["seconds"]
        _set_random_state(saved["random"])
        log.info("going on from step %d of %d", first, settings.steps)
    log.info("%s on %s, %s: %s", settings, gan.device, "bfloat16" if gan.bfloat16 else "float32", _sizes(gan))
    if settings.batch > min(len(images.of_class(name)) for name in CLASSES):
        log.info("a batch of %d holds some ROIs of a class more than once", settings.batch)

    pictured = {round(settings.steps * k / (SNAPSHOTS - 1)) for k in range(SNAPSHOTS)}
    record_every = max(1, settings.steps // RECORDS)
    started = saved_at = time.monotonic()
    if first == 0:
        pictures[0] = torch.from_numpy(gan.synthesise(SNAPSHOT_IMAGES, images, seed=0).images)
    for step in track(range(first, settings.steps), settings.method, total=settings.steps, done=first):
        gan.set_rate(step)
        losses = gan.step(reals)
        gan.update_average(step)
        done = step + 1
        now = time.monotonic()
        if done % record_every == 0 or done == settings.steps:
            rows.extend(_records(done, done * gan.images_a_step(), seconds + now - started, losses))
        if done in pictured:
            pictures[done] = torch.from_numpy(gan.synthesise(SNAPSHOT_IMAGES, images, seed=0).images)
        if now - saved_at >= checkpoint_seconds and done < settings.steps:
            state = {"gan": gan.state(), "reals": reals.state(), "random": _random_state()}
            state |= {"rows": rows, "pictures": pictures, "step": done, "seconds": seconds + now - started}
            keeper.save(state)
            saved_at = time.monotonic()

    _write_history(rows, history)
    _draw_progress(pictures, progress)
    _save_generator(gan, seed, key, rows, generator)
    keeper.delete()


def _sizes(gan: Gan) -> str:
    def millions(networks: torch.nn.Module) -> float:
        return sum(parameter.numel() for parameter in networks.parameters()) / 1e6

    return f"{millions(gan.generators):.2f} M weights in generators, {millions(gan.critics):.2f} M in critics"


def _random_state() -> dict[str, torch.Tensor | list[torch.Tensor]]:
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def _set_random_state(state: dict) -> None:
    torch.set_rng_state(state["cpu"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    else:
        log.warning("the checkpoint is of another kind of device: what follows is not what one device would have made")


def _records(step: int, images: int, seconds: float, losses: Losses) -> Iterable[dict[str, float | str]]:
    for name, values in losses.items():
        numbers = {key: float(value) for key, value in values.items()}
        if not all(math.isfinite(number) for number in numbers.values()):
            raise FloatingPointError(
                f"step {step}: the losses of {name} are {numbers}; try a lower learning_rate or precision: float32"
            )
        yield {"step": step, "images": images, "seconds": round(seconds, 2), "class": name, **numbers}


def _write_history(rows: list[dict[str, float | str]], path: Path) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _draw_progress(pictures: dict[int, torch.Tensor], path: Path) -> None:
    """A grid with a row for each time and the same latents, or sources, in each column."""
    left, top, gap = 170, 36, 4
    cells = {step: list(images.numpy()) for step, images in sorted(pictures.items())}
    size = cells[0][0].shape[0]
    columns = 2 * SNAPSHOT_IMAGES
    sheet = Image.new("L", (left + columns * (size + gap), top + len(cells) * (size + gap)), 255)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=26)
    for position, name in ((0, "benign"), (SNAPSHOT_IMAGES, "malignant")):
        draw.text((left + position * (size + gap), 4), name, fill=0, font=font)
    for row, (step, images) in enumerate(cells.items()):
        y = top + row * (size + gap)
        draw.text((4, y + size // 2), f"step {step}", fill=0, font=font, anchor="lm")
        for column, image in enumerate(images):
            sheet.paste(Image.fromarray(np.asarray(image)), (left + column * (size + gap), y))
    sheet.save(path, format="PNG")


def _save_generator(gan: Gan, seed: int, key: str, rows: list, path: Path) -> None:
    part = path.with_suffix(".part")
    content = {
        "weights": gan.average.state_dict(),
        "settings": asdict(gan.settings),
        "seed": seed,
        "fingerprint": key,
        "version": __version__,
        "history": rows[-1],
    }
    torch.save(content, part)
    os.replace(part, path)


def _fingerprint_of(generator: Path) -> str:
    return torch.load(generator, weights_only=True, map_location="cpu")["fingerprint"]


def load_generator(path: Path) -> Gan:
    """The trained GAN in *path*, its ``average`` ready to synthesise on the job's device.

    Raises InputError if *path* is not a trained generator.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        settings = Settings(**content["settings"])
    except Exception as error:  # torch raises many kinds for a damaged file
        raise InputError(f"{path} is not a generator of mammosynth ({error}): delete it and run again") from error
    gan = gan_class(settings.method)(settings)
    gan.average.load_state_dict(content["weights"])
    gan.start(device())
    return gan
