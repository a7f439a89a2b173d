"""What the tests of GANs share: tiny trainings, and feature networks that need no file from anywhere."""

import functools
import tempfile
from pathlib import Path

import torch
from quality_for_tests import image_set
from torch.nn import functional as F

from mammosynth.gans import METHODS, gan_class
from mammosynth.gans.gan import Gan
from mammosynth.gans.settings import OPTIONS, Settings
from mammosynth.imageset import ImageSet
from mammosynth.networks import Network

FOLDER = tempfile.TemporaryDirectory(prefix="mammosynth-random-weights-")
CPU = torch.device("cpu")


def settings(method: str, **changes) -> Settings:
    values = {"width": 4, "steps": 3, "batch": 2, "learning_rate": 2e-4, "precision": "float32"} | changes
    return Settings.of({"method": method, **values})


def options(method: str, **changes) -> Settings:
    """As ``settings``, with every option that the method can take, and an evaluation every two steps."""
    every = {
        "flips": True,
        "diffaugment": ("brightness", "contrast", "translation", "cutout"),
        "lecam": 0.3,
        "r1": 10.0,
        "evaluate_every": 2,
        "patience": 100,
    }
    refused = set(OPTIONS) - set(METHODS[method].takes)
    return settings(method, **{key: value for key, value in every.items() if key not in refused}, **changes)


def paths(folder: Path) -> dict[str, Path]:
    names = {"generator": "g.pt", "history": "g.csv", "progress": "g.png", "checkpoint": "checkpoint.pt"}
    return {key: folder / name for key, name in names.items()}


def few_reals() -> ImageSet:
    """Six benign and three malignant textures."""
    return image_set(6, 3)


@functools.cache
def random_lite0() -> Path:
    """EfficientNet-Lite0 as it is before ImageNet: what a GAN does with it is no better, but as exact."""
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(FOLDER.name, "lite0.pth")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(EfficientNet.from_name("efficientnet-lite0").state_dict(), path)
    return path


def load(weights: Path, device: torch.device):
    """The network ``TOY``."""
    torch.rand(7)  # as networks that are made with random weights before they load their own
    return lambda images: F.avg_pool2d(images[:, :1].float() / 255, 16).flatten(1)


TOY = Network("means of 16×16 px", 64, {}, __name__)


def judged(method: str) -> dict:
    """Arguments of ``train`` for a method: its feature network, and a validation part to be evaluated by ``TOY``."""
    parameters = {"toy": Path(__file__)}
    if network := METHODS[method].feature_network:
        parameters[network] = random_lite0()
    return {"parameters": parameters, "validation": image_set(3, 2, seed=1), "extractor": "toy"}


def started(chosen: Settings, seed: int = 0) -> Gan:
    """The GAN of these settings, ready to train on the CPU."""
    torch.manual_seed(seed)
    gan = gan_class(chosen.method)(chosen)
    gan.start(CPU, random_lite0() if gan.feature_network else None)
    gan.set_rate(0)
    return gan


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two state dictionaries are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
