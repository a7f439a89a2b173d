"""Image quality of GANs, and of presets of one GAN, after equal processor time on the same ROIs.

Each training gets the same processor time, evaluations included: its steps and evaluations are timed first,
so that its schedule ends with that time.  A generator then makes as many images of each class as the larger class has
ROIs, and is judged as the pipeline judges it: distances from patient-disjoint halves of the training part beside the
floor of the other halves, and the distances of its images to their nearest training ROI beside those of held-out ROIs.

    python benchmarks/gan_quality.py OUT --train train.npz --validation val.npz --parameters FOLDER \
        --minutes 5 --run sngan:reference:width=8 --run sngan:few-images:width=8

A run is METHOD:PRESET[:KEY=VALUE…]. OUT receives a row a measure (quality.csv), the generators, their histories and
pictures; runs that are there already are not trained again.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from mammosynth.arrays.distances import distances
from mammosynth.gans import gan_class
from mammosynth.gans.choice import Judge
from mammosynth.gans.gan import Reals
from mammosynth.gans.settings import Settings, resolve
from mammosynth.gans.training import load_generator, train
from mammosynth.gpu import device
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks.features import features
from mammosynth.quality.fidelity import measure_fidelity, measure_floor
from mammosynth.quality.rows import COLUMNS

EXTRACTOR = "squeezenet"  # which no GAN here is trained against
TIMED = 6  # steps that the time of a step is taken from, after two to warm up


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    reals, validation = ImageSet.load(arguments.train), ImageSet.load(arguments.validation)
    parameters = {path.name: path for path in arguments.parameters.iterdir()}
    extractors = [EXTRACTOR, "efficientnet_lite0"]
    arguments.out.mkdir(parents=True, exist_ok=True)
    known, held_out = (
        {name: features(images.images, name, parameters[name], device()) for name in extractors}
        for images in (reals, validation)
    )
    rows, floor = measure_floor(reals, known, np.random.default_rng(0), arguments.halvings)
    rows += nearest("held-out real", validation, held_out, reals, known)
    for run in arguments.run:
        folder = arguments.out / run.replace(":", " ")
        folder.mkdir(exist_ok=True)
        synthetic = made(run, folder, reals, validation, parameters, 60 * arguments.minutes, arguments.evaluations)
        found = {name: features(synthetic.images, name, parameters[name], device()) for name in extractors}
        rows += measure_fidelity(run, synthetic, found, reals, floor, np.random.default_rng(0))
        rows += nearest(run, synthetic, found, reals, known)
        table = pd.DataFrame(rows, columns=COLUMNS)
        table.to_csv(arguments.out / "quality.csv", index=False)
        shown = table[(table["generator"] == run) & (table["pathology"] != "all")]
        print(
            shown[["generator", "pathology", "measure", "value", "low", "high", "n"]].round(3).to_string(), flush=True
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--parameters", type=Path, required=True, help="a study's results/parameters")
    parser.add_argument("--minutes", type=float, default=5, help="of each training")
    parser.add_argument("--halvings", type=int, default=40, help="of the training part; the pipeline takes 40")
    parser.add_argument("--evaluations", type=int, default=8, help="on the validation part")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--run", action="append", required=True, metavar="METHOD:PRESET[:KEY=VALUE…]")
    return parser.parse_args()


def made(
    run: str,
    folder: Path,
    reals: ImageSet,
    validation: ImageSet,
    parameters: dict[str, Path],
    seconds: float,
    evaluations: int,
) -> ImageSet:
    """The images of a run, trained for *seconds* of processor time, in which it chose among *evaluations* steps."""
    generator = folder / "generator.pt"
    if not generator.exists():
        method, preset, *changes = run.split(":")
        given = {key: yaml.safe_load(value) for key, value in (change.split("=", 1) for change in changes)}
        settings = resolve(run, {"method": method, "preset": preset, **given}) | {"patience": 0}
        step, evaluation = seconds_of(Settings.of(settings), reals, validation, parameters)
        evaluations = evaluations if settings.get("evaluate_every") else 0
        steps = max(1, evaluations, round((seconds - evaluations * evaluation) / step))
        settings |= {"steps": steps, "evaluate_every": -(-steps // evaluations) if evaluations else 0}
        started = time.process_time()
        train(
            reals,
            Settings.of(settings),
            0,
            generator=generator,
            history=folder / "history.csv",
            progress=folder / "progress.png",
            checkpoint=folder / "checkpoint.pt",
            validation=validation,
            extractor=EXTRACTOR,
            parameters=parameters,
        )
        spent = time.process_time() - started
        print(
            f"{run}: {steps} steps, {step:.3f} s a step, {spent / 60:.2f} processor minutes in all",
            flush=True,
        )
        content = yaml.safe_dump(settings | {"processor_minutes": round(spent / 60, 2)})
        (folder / "settings.yaml").write_text(content, encoding="utf-8")
    count = max(np.bincount(reals.labels))
    return load_generator(generator).synthesise(int(count), reals, seed=0)


def seconds_of(
    settings: Settings, reals: ImageSet, validation: ImageSet, parameters: dict[str, Path]
) -> tuple[float, float]:
    """Processor seconds of a step and of an evaluation."""
    torch.manual_seed(0)
    gan = gan_class(settings.method)(settings)
    gan.start(device(), parameters.get(gan.feature_network))
    drawn = Reals(reals, gan.device, settings.flips)
    for step in range(2 + TIMED):
        if step == 2:
            started = time.process_time()
        gan.set_rate(0)
        gan.step(drawn)
        gan.update_average(step)
    step_seconds = (time.process_time() - started) / TIMED
    judge = Judge(validation, EXTRACTOR, parameters[EXTRACTOR], gan.device)
    started = time.process_time()
    judge.distances(gan, reals)
    return step_seconds, time.process_time() - started


def nearest(
    name: str, images: ImageSet, found: dict[str, np.ndarray], reals: ImageSet, known: dict[str, np.ndarray]
) -> list[tuple]:
    """Rows: percentiles of the distance in features to the nearest training ROI of the class."""
    rows = []
    for extractor, of_images in found.items():
        for label, pathology in enumerate(CLASSES):
            own, of_class = of_images[images.labels == label], known[extractor][reals.labels == label]
            least = distances(own, of_class).min(1)
            for percentile in (1, 5, 50, 95):
                measure = f"nearest training ROI, percentile {percentile} ({extractor})"
                value = np.percentile(least, percentile)
                rows.append((name, pathology, measure, value, np.nan, np.nan, len(own), len(of_class), 0))
    return rows


if __name__ == "__main__":
    main()
