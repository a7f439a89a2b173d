"""How long judging six generators takes, against torch-fidelity and pyiqa called for each.

    OMP_NUM_THREADS=1 python -m benchmarks.quality --parameters results/parameters --train train.npz

from the repository's root.  Both judge the same images, on the same network, in one process and in turn, in processor
seconds: Fréchet and kernel distance from the real images, NIQE, BRISQUE and PIQE, for each generator and class.  Theirs
is `calculate_metrics` with all defaults but those that would make it slower (workers; a hundred kernel distances where
one on all images is meant), on the network in its plain form, and pyiqa's measures on batches of 16 images.

The generators are stand-ins: real images with more and more blur or noise.  ``--train`` names the real ones; without
it they are smoothed noise.

``--scaling`` measures ours instead as the number of images grows: processor seconds and peak memory, each size in a
process of its own; features of 20,000 images are random numbers for the measures on features.
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from scipy.ndimage import gaussian_filter

import mammosynth.vision  # noqa: F401  isort: skip  (before torch_fidelity and pyiqa)
import pyiqa
import torch_fidelity

from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.distances import frechet_distance, kernel_distance, prdc
from mammosynth.quality.features import EXTRACTORS, features
from mammosynth.quality.naturalness import fit_niqe, naturalness, support_vectors
from mammosynth.quality.similarity import ssim_and_ms_ssim

GENERATORS = 6
PYIQA_BATCH = 16  # its quickest here
Sets = dict[tuple[str, str], np.ndarray]  # uint8 [n, 128, 128] by generator, or "real", and class
Values = dict[tuple[str, str], dict[str, Any]]  # by generator and class, each measure


def plain_efficientnet_lite0(weights: Path) -> torch.nn.Module:
    """The network as its package makes it."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()


class PlainFeatures(torch_fidelity.FeatureExtractorBase):
    """EfficientNet-Lite0's features as the pipeline defines them, for `calculate_metrics`."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: Path, **_: Any) -> None:
        super().__init__(name, features_list)
        self.network = plain_efficientnet_lite0(feature_extractor_weights_path)
        self.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        enlarged = torch.nn.functional.interpolate(images.float(), (224, 224), mode="bilinear", align_corners=False)
        return (self.network.extract_features((enlarged - 127) / 128).mean((2, 3)),)

    @staticmethod
    def get_provided_features_list() -> tuple[str]:
        return ("1280",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "1280"

    @staticmethod
    def can_be_compiled() -> bool:
        return False


class Images(torch.utils.data.Dataset):
    """Grey images as torch-fidelity takes them: three channels."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = torch.from_numpy(images)[:, None].expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


def ours(sets: Sets, parameters: dict[str, Path]) -> Values:
    """As the pipeline judges: real features once."""
    found = {
        key: features(images, "efficientnet_lite0", parameters["efficientnet_lite0"]) for key, images in sets.items()
    }
    return {
        (generator, pathology): {
            "FD": frechet_distance(found["real", pathology], found[generator, pathology]),
            "KD": kernel_distance(found["real", pathology], found[generator, pathology]),
            **naturalness(sets[generator, pathology], parameters),
        }
        for generator, pathology in sets
        if generator != "real"
    }


def theirs(sets: Sets, parameters: dict[str, Path], models: dict[str, Path]) -> Values:
    """torch-fidelity and pyiqa, called for each generator and class; models: pyiqa's NIQE and BRISQUE."""
    values = {}
    for (generator, pathology), images in sets.items():
        if generator == "real":
            continue
        found = torch_fidelity.calculate_metrics(
            input1=Images(images),
            input2=Images(sets["real", pathology]),
            fid=True,
            kid=True,
            kid_subsets=1,
            kid_subset_size=len(images),
            feature_extractor="plain-efficientnet-lite0",
            feature_extractor_weights_path=parameters["efficientnet_lite0"],
            cuda=False,
            save_cpu_ram=True,
            verbose=False,
        )
        value = {
            "FD": found["frechet_inception_distance"],
            "KD": found["kernel_inception_distance_mean"],
        }
        batches = (torch.from_numpy(images)[:, None].float() / 255).split(PYIQA_BATCH)
        for name in ("niqe", "brisque", "piqe"):
            options = {"pretrained_model_path": str(models[name])} if name in models else {}
            metric = pyiqa.create_metric(name, device=torch.device("cpu"), **options)
            value[name.upper()] = torch.cat([metric(batch).reshape(-1) for batch in batches]).numpy()
        values[generator, pathology] = value
    return values


def pyiqas_models(parameters: dict[str, Path], folder: Path) -> dict[str, Path]:
    """NIQE's and BRISQUE's parameters in the files that pyiqa reads."""
    with np.load(parameters["niqe"]) as file:
        arrays = {"mu_prisparam": file["mu_pris_param"], "cov_prisparam": file["cov_pris_param"]}
    scipy.io.savemat(folder / "niqe.mat", arrays)
    torch.save(support_vectors(parameters["brisque"]), folder / "brisque.pth")
    return {"niqe": folder / "niqe.mat", "brisque": folder / "brisque.pth"}


def smoothed_noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 [n, 128, 128]."""
    noise = gaussian_filter(rng.standard_normal((n, 128, 128)), 1.0, axes=(1, 2))
    return np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)


def image_sets(n: int, train: Path | None) -> Sets:
    """*n* real images of each class, and of each generator as many stand-ins."""
    rng = np.random.default_rng(0)
    real = ImageSet.load(train) if train else None
    sets = {}
    for label, pathology in enumerate(CLASSES):
        images = rng.permutation(real.images[real.labels == label]) if real else smoothed_noise(2 * n, rng)
        sets["real", pathology] = images[:n]
        for index in range(GENERATORS):
            strength = 1 + index // 2
            shown = rng.permutation(images)[:n].astype(float)
            blurred = gaussian_filter(shown, strength / 2, axes=(1, 2))
            changed = blurred if index % 2 else shown + 6 * strength * rng.standard_normal(shown.shape)
            sets[f"generator {index + 1}", pathology] = np.clip(changed, 0, 255).astype(np.uint8)
        if len(images) < n:
            raise SystemExit(f"{train} has {len(images)} {pathology} images: give --images {len(images)} at most")
    return sets


def timed(work: Callable[[], Values]) -> tuple[float, Values]:
    start = time.process_time()
    values = work()
    return time.process_time() - start, values


def largest_differences(a: Values, b: Values) -> dict[str, float]:
    """By measure, the largest difference relative to the larger of the two."""
    return {
        measure: max(
            np.nanmax(np.abs(np.subtract(a[key][measure], b[key][measure])) / np.abs(b[key][measure])) for key in a
        )
        for measure in next(iter(a.values()))
    }


def compare(sets: Sets, parameters: dict[str, Path], rounds: int) -> None:
    """Print seconds, ratios and differences."""
    torch_fidelity.register_feature_extractor("plain-efficientnet-lite0", PlainFeatures)
    with tempfile.TemporaryDirectory() as folder:
        models = pyiqas_models(parameters, Path(folder))
        works = {"ours": lambda: ours(sets, parameters), "theirs": lambda: theirs(sets, parameters, models)}
        few = {key: images[:16] for key, images in list(sets.items())}
        ours(few, parameters), theirs(few, parameters, models)  # imports and tables, before the clock starts
        seconds, values = {name: [] for name in works}, {}
        for index in range(rounds):
            for name in sorted(works, reverse=bool(index % 2)):
                spent, values[name] = timed(works[name])
                seconds[name].append(spent)
    ratios = sorted(b / a for a, b in zip(seconds["ours"], seconds["theirs"]))
    print(
        f"{len(next(iter(sets.values())))} images of each class: torch-fidelity and pyiqa "
        f"{statistics.median(seconds['theirs']):.1f} s, ours {statistics.median(seconds['ours']):.1f} s, "
        f"ratio {statistics.median(ratios):.1f} ({ratios[0]:.1f}–{ratios[-1]:.1f} of {rounds})"
    )
    for measure, difference in largest_differences(values["ours"], values["theirs"]).items():
        print(f"{measure:8} largest relative difference {difference:.1e}")


def scaled(stage: str, n: int, parameters: dict[str, Path]) -> tuple[float, float, float]:
    """Processor seconds, and MB of memory: of what goes in, and the most that was added to it."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images = np.resize(smoothed_noise(64, rng), (n, 128, 128)) if stage in IMAGE_STAGES else None
    x, y = (rng.standard_normal((n, 1280), np.float32) for _ in range(2)) if images is None else (None, None)
    works = {
        "SqueezeNet features": lambda: features(images, "squeezenet", parameters["squeezenet"]),
        "NIQE, BRISQUE, PIQE": lambda: naturalness(images, parameters),
        "NIQE's model": lambda: fit_niqe(images),
        "SSIM and MS-SSIM": lambda: ssim_and_ms_ssim(images, images[::-1]),
        "Fréchet distance": lambda: frechet_distance(x, y),
        "kernel distance": lambda: kernel_distance(x, y),
        "precision to coverage": lambda: prdc(x, y),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    works[stage]()
    spent = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = images.nbytes if x is None else x.nbytes + y.nbytes
    return spent, size / 1e6, (after - before) / 1e3


IMAGE_STAGES = ("SqueezeNet features", "NIQE, BRISQUE, PIQE", "NIQE's model", "SSIM and MS-SSIM")
FEATURE_STAGES = ("Fréchet distance", "kernel distance", "precision to coverage")


def scaling(sizes: list[int], image_sizes: list[int], parameters: dict[str, Path]) -> None:
    """Print a table."""
    print("stage                      images    s   ms an image   MB in   MB added")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for stage in (*IMAGE_STAGES, *FEATURE_STAGES):
            for n in image_sizes if stage in IMAGE_STAGES else sizes:
                spent, size, added = pool.submit(scaled, stage, n, parameters).result()
                print(f"{stage:24}{n:9}{spent:8.1f}{1e3 * spent / n:10.2f}{size:10.0f}{added:10.0f}", flush=True)


def processor() -> str:
    with open("/proc/cpuinfo") as file:
        return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))


def main() -> None:
    """Print the comparison, or the scaling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=Path, required=True, help="the folder of the rule's parameter files")
    parser.add_argument("--train", type=Path, help="an image set of real images")
    parser.add_argument("--images", type=int, default=100, help="of each class and generator (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: %(default)s)")
    parser.add_argument("--scaling", type=int, nargs="+", metavar="N", help="numbers of images, of features")
    parser.add_argument("--scaling-images", type=int, nargs="+", metavar="N", default=[], help="of pictures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parameters = {name: arguments.parameters / name for name in ("niqe", "brisque", *EXTRACTORS)}
    print(f"{processor()}, one thread, torch {torch.__version__}")
    if arguments.scaling:
        scaling(arguments.scaling, arguments.scaling_images, parameters)
    else:
        compare(image_sets(arguments.images, arguments.train), parameters, arguments.rounds)


if __name__ == "__main__":
    main()
