"""A training step of classifiers against a plain script: torchvision's, with a DataLoader over PNG files, in float32.

    OMP_NUM_THREADS=1 python -m benchmarks.classifier --train results/ultrasound/fold0/train.npz \
        --parameters results/parameters --pairs 5

from the repository's root. The same network, batch, loss and optimiser in both, in turn; processor seconds of steps of
the training loop, with all that is done to images, without evaluations. EfficientNet-Lite0's normalisations are
trained by the plain script, and folded by ours.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from mammosynth.checkpoint import Checkpoint
from mammosynth.classifiers import METHODS, network
from mammosynth.classifiers.classifier import Task
from mammosynth.classifiers.mixes import parse_mix
from mammosynth.classifiers.settings import resolve
from mammosynth.imageset import ImageSet
from mammosynth.networks.efficientnet_lite0 import published
from mammosynth.vision import torchvision

FOREVER = 10**6  # steps, so that none is the last


class Files(Dataset):
    """PNG files and their labels."""

    def __init__(self, files: list[Path], labels: np.ndarray, transform: Any) -> None:
        self.files, self.labels, self.transform = files, labels, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, float]:
        return self.transform(Image.open(self.files[index])), float(self.labels[index])


def plain(method: str, images: ImageSet, classic: bool, batch: int, folder: Path, weights: Path) -> Iterator[None]:
    """Steps of the plain script; *folder* is where the images are put first."""
    from torchvision import transforms

    files = [folder / f"{number}.png" for number in range(len(images))]
    for file, image in zip(files, images.images):
        Image.fromarray(image).save(file)
    augmentation = [
        transforms.RandomHorizontalFlip(),
        transforms.RandomAffine(10, (0.05, 0.05), (0.9, 1.1), interpolation=transforms.InterpolationMode.BILINEAR),
        transforms.ColorJitter(brightness=0.15, contrast=0.15),
    ]
    transform = transforms.Compose([*(augmentation if classic else []), transforms.ToTensor()])
    shares = 1 / np.bincount(images.labels)[images.labels]
    sampler = WeightedRandomSampler(shares.tolist(), batch * 1000)
    loader = DataLoader(Files(files, images.labels, transform), batch, sampler=sampler)
    if method == "efficientnet_lite0":
        model = published(weights)
        model._fc = nn.Linear(1280, 1)
        normalise = transforms.Compose([transforms.Normalize(127 / 255, 128 / 255), lambda x: x.repeat(1, 3, 1, 1)])
    else:
        model = getattr(torchvision.models, method)(num_classes=1)
        model.conv1 = nn.Conv2d(1, 64, 7, 2, padding=3, bias=False)
        normalise = transforms.Normalize(0.5, 0.25)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, FOREVER)
    loss = nn.BCEWithLogitsLoss()
    model.train()
    for inputs, targets in loader:
        optimiser.zero_grad()
        loss(model(normalise(inputs))[:, 0], targets.float()).backward()
        optimiser.step()
        schedule.step()
        yield


def ours(method: str, images: ImageSet, classic: bool, batch: int, folder: Path, weights: Path) -> Iterator[None]:
    """Steps of our training."""
    settings = resolve(method, {"method": method, "steps": FOREVER, "batch": batch, "evaluate_every": FOREVER})
    classifier = METHODS[method].load()(settings, torch.device("cpu"), {"efficientnet_lite0": weights})
    classifier.mean, classifier.sd = float(images.images.mean() / 255), float(images.images.std() / 255)
    classifier.start()
    mix = parse_mix("real+classic" if classic else "real")
    return network._Run(classifier, Task(mix, [images], images, 0, Checkpoint(folder / "state", ""), 1e9)).train()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="image set of a training part")
    parser.add_argument("--parameters", type=Path, required=True, help="folder of the parameter files")
    parser.add_argument("--classifiers", nargs="+", default=["efficientnet_lite0", "resnet18"])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3, help="of each measurement")
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images, weights = ImageSet.load(arguments.train), arguments.parameters / "efficientnet_lite0"
    print("| classifier | mix | plain, s a step | ours, s a step | ratio, median (least to greatest) |")
    print("|---|---|---|---|---|")
    for method in arguments.classifiers:
        for classic in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                runs = [make(method, images, classic, arguments.batch, Path(folder), weights) for make in (plain, ours)]
                for run in runs:
                    next(run)
                pairs = [[seconds(run, arguments.steps) for run in runs] for _ in range(arguments.pairs)]
            ratios = [slow / quick for slow, quick in pairs]
            medians = [statistics.median(times) for times in zip(*pairs)]
            print(
                f"| {METHODS[method].title} | `real{'+classic' * classic}` | {medians[0]:.2f} | {medians[1]:.2f} "
                f"| {statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f}) |",
                flush=True,
            )


def seconds(run: Iterator[None], steps: int) -> float:
    """Processor seconds a step."""
    began = time.process_time()
    for _ in islice(run, steps):
        pass
    return (time.process_time() - began) / steps


if __name__ == "__main__":
    main()
