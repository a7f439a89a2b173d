"""The recipes of classifiers on validation parts: AUROC with real ROIs alone, and with classical augmentation.

    python -m benchmarks.classifier_recipes --parameters results/parameters \
        --parts BUSI=results/ultrasound/fold0 [NAME=FOLDER ...]

from the repository's root. A folder has ``train`` and ``val``, each an image set (``.npz``, as the workflow leaves
them) or a folder of ROIs below ``is_benign_true`` and ``is_benign_false``. No test part is read. The step of a network,
the penalty of a probe, is chosen on the part that it is measured on, so AUROC is that of a choice; that of the last
step, which nothing chose, stands beside it.
"""

import argparse
import csv
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mammosynth.classifiers import METHODS
from mammosynth.classifiers.mixes import parse_mix
from mammosynth.classifiers.settings import resolve
from mammosynth.classifiers.training import train
from mammosynth.imageset import ImageSet

CLASSIFIERS = ("probe", "probe_squeezenet", "efficientnet_lite0")
MIXES = ("real", "real+classic")


def part(folder: Path, name: str) -> ImageSet:
    """The image set of a part."""
    if (file := folder / f"{name}.npz").exists():
        return ImageSet.load(file)
    files = sorted((folder / name).glob("is_benign_*/*.png"))
    images = [np.asarray(Image.open(file).convert("L")) for file in files]
    return ImageSet(images, [file.parent.name == "is_benign_false" for file in files], [file.stem for file in files])


def trained(method: str, mix: str, parts: list[ImageSet], seed: int, parameters: Path) -> tuple[float, float, float]:
    """AUROC on the validation part of what is kept and of the last step, and processor seconds of the training."""
    began = time.process_time()
    files = {name: parameters / name for name in ("efficientnet_lite0", "squeezenet")}
    with tempfile.TemporaryDirectory() as folder:
        outputs = {name: Path(folder, name) for name in ("model", "history", "checkpoint")}
        settings = resolve(method, {"method": method})
        train(parse_mix(mix), parts[:1], parts[1], settings, seed, torch.device("cpu"), **outputs, parameters=files)
        with outputs["history"].open(newline="", encoding="utf-8") as file:
            found = [float(row["val_auroc"]) for row in csv.DictReader(file)]
    return max(found), found[-1] if METHODS[method].takes else np.nan, time.process_time() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--parameters", type=Path, required=True, help="folder of the parameter files")
    parser.add_argument("--classifiers", nargs="+", default=CLASSIFIERS, choices=METHODS)
    parser.add_argument("--mixes", nargs="+", default=MIXES)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| parts | n | classifier | mix | AUROC, mean ± SD of seeds | of the last step | processor seconds |")
    print("|---|---|---|---|---|---|---|")
    for name, _, folder in (parts.partition("=") for parts in arguments.parts):
        parts = [part(Path(folder), of) for of in ("train", "val")]
        for method in arguments.classifiers:
            for mix in arguments.mixes:
                runs = [trained(method, mix, parts, seed, arguments.parameters) for seed in range(arguments.seeds)]
                best, last, seconds = zip(*runs)
                print(
                    f"| {name} | {len(parts[0])} → {len(parts[1])} | {METHODS[method].title} | `{mix}` "
                    f"| {spread(best)} | {spread(last)} | {statistics.mean(seconds):.0f} |",
                    flush=True,
                )


def spread(values: tuple[float, ...]) -> str:
    """Mean and standard deviation."""
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if values[1:] else mean


if __name__ == "__main__":
    main()
