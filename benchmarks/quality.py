"""How long judging six generators takes, against torch-fidelity and pyiqa called for each.

    OMP_NUM_THREADS=1 python -m benchmarks.quality --parameters results/parameters --train train.npz

from the repository's root.  Both judge the same images, on the same network, in one process and in turn, in processor
seconds: Fréchet and kernel distance from the real images, NIQE, BRISQUE and PIQE, for each generator and class.  Theirs
is `calculate_metrics` with all defaults but those that would make it slower (workers; a hundred kernel distances where
one on all images is meant), on the network in its plain form (``--extractor``; Inception is torch-fidelity's own), and
pyiqa's measures on batches of 16 images.

The generators are stand-ins: real images with more and more blur or noise.  ``--train`` names the real ones; without
it they are smoothed noise.

``--scaling`` measures ours instead as the number of images grows: processor seconds and peak memory of the stages as
the pipeline calls them, each size in a process of its own.  Images are the real ones again and again, with slight
noise; real images are as many as synthetic ones, or 1,000; features are random numbers.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.io
import torch
from scipy.ndimage import gaussian_filter

import mammosynth.vision  # noqa: F401  isort: skip  (before torch_fidelity and pyiqa)
import pyiqa
import torch_fidelity

from mammosynth.arrays.distances import frechet_distance, kernel_distance
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.networks.features import features
from mammosynth.networks.squeezenet import squeezenet
from mammosynth.partition import halves
from mammosynth.quality import assess
from mammosynth.quality.assess import Described
from mammosynth.quality.fidelity import ALL, Floor, measure_fidelity
from mammosynth.quality.naturalness import (
    NiqeModel,
    brisque,
    fit_niqe,
    niqe_published,
    niqe_refitted,
    piqe,
)
from mammosynth.quality.novelty import authentic, distance_ratio, find_nearest

GENERATORS = 6
PYIQA_BATCH = 16  # its quickest here
HALVINGS = 2  # of the 30 that the pipeline takes, where sizes grow
RESAMPLES = 1000
FEW = 1000  # real images, where their number does not grow
Extract = Callable[[torch.Tensor], torch.Tensor]
Sets = dict[tuple[str, str], np.ndarray]  # uint8 [n, 128, 128] by generator, or "real", and class
Values = dict[tuple[str, str], dict[str, Any]]  # by generator and class, each measure


def naturalness(images: np.ndarray, parameters: dict[str, Path]) -> dict[str, np.ndarray]:
    """NIQE, BRISQUE and PIQE, as the pipeline calls them."""
    published = niqe_published(images, parameters["niqe"])
    return {"NIQE": published, "BRISQUE": brisque(images, parameters["brisque"]), "PIQE": piqe(images)}


def plain_efficientnet_lite0(weights: Path) -> Extract:
    """The network as its package makes it."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    return lambda images: network.extract_features((images - 127) / 128)


def plain_squeezenet(weights: Path) -> Extract:
    """The network as its package makes it."""
    import torchvision

    network = torchvision.models.squeezenet1_1(weights=None).features.eval()
    network.load_state_dict(dict(zip(network.state_dict(), squeezenet(weights).state_dict().values(), strict=True)))
    mean = torch.tensor([104.0, 117.0, 123.0])[:, None, None]
    return lambda images: network(images - mean)


PLAIN = {"efficientnet_lite0": plain_efficientnet_lite0, "squeezenet": plain_squeezenet}
INCEPTION = "inception-v3-compat"  # torch-fidelity's name for its own


class PlainFeatures(torch_fidelity.FeatureExtractorBase):
    """An extractor's features as the pipeline defines them, for `calculate_metrics`."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: Path, **_: Any) -> None:
        super().__init__(name, features_list)
        self.network = PLAIN[name](feature_extractor_weights_path)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        enlarged = torch.nn.functional.interpolate(images.float(), (224, 224), mode="bilinear", align_corners=False)
        return (self.network(enlarged).mean((2, 3)),)

    @staticmethod
    def get_provided_features_list() -> tuple[str]:
        return ("pooled",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "pooled"

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


def ours(sets: Sets, extractor: str, parameters: dict[str, Path]) -> Values:
    """As the pipeline judges: real features once."""
    found = {key: features(images, extractor, parameters[extractor]) for key, images in sets.items()}
    return {
        (generator, pathology): {
            "FD": frechet_distance(found["real", pathology], found[generator, pathology]),
            "KD": kernel_distance(found["real", pathology], found[generator, pathology]),
            **naturalness(sets[generator, pathology], parameters),
        }
        for generator, pathology in sets
        if generator != "real"
    }


def theirs(sets: Sets, extractor: str, parameters: dict[str, Path], models: dict[str, Path]) -> Values:
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
            feature_extractor=extractor if extractor in PLAIN else INCEPTION,
            feature_extractor_weights_path=parameters[extractor],
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
    lines = parameters["brisque"].read_text(encoding="ascii").partition("\nSV\n")[2].splitlines()
    rows = [dict(pair.split(":") for pair in line.split()[1:]) for line in lines]
    vectors = torch.tensor([[float(row.get(str(i), 0)) for i in range(1, 37)] for row in rows])
    torch.save((torch.tensor([float(line.split()[0]) for line in lines]), vectors), folder / "brisque.pth")
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


def compare(sets: Sets, extractor: str, parameters: dict[str, Path], rounds: int) -> None:
    """Print seconds, ratios and differences."""
    if extractor in PLAIN:
        torch_fidelity.register_feature_extractor(extractor, PlainFeatures)
    with tempfile.TemporaryDirectory() as folder:
        models = pyiqas_models(parameters, Path(folder))
        works = {
            "ours": lambda: ours(sets, extractor, parameters),
            "theirs": lambda: theirs(sets, extractor, parameters, models),
        }
        few = {key: sets[key][:16] for key in (("real", CLASSES[0]), ("generator 1", CLASSES[0]))}
        ours(few, extractor, parameters)  # imports and tables, before the clock starts
        theirs(few, extractor, parameters, models)
        seconds, values = {name: [] for name in works}, {}
        for index in range(rounds):
            for name in sorted(works, reverse=bool(index % 2)):
                spent, values[name] = timed(works[name])
                seconds[name].append(spent)
    ratios = sorted(b / a for a, b in zip(seconds["ours"], seconds["theirs"]))
    images = len(next(iter(sets.values())))
    print(
        f"{NETWORKS[extractor].title}, {images} images of each class: torch-fidelity and pyiqa "
        f"{statistics.median(seconds['theirs']):.1f} s, ours {statistics.median(seconds['ours']):.1f} s, "
        f"ratio {statistics.median(ratios):.1f} ({ratios[0]:.1f}–{ratios[-1]:.1f} of {rounds})"
    )
    for measure, difference in largest_differences(values["ours"], values["theirs"]).items():
        print(f"{measure:8} largest relative difference {difference:.1e}")


def many(n: int, train: Path | None, per_patient: int = 0) -> ImageSet:
    """*n* images of alternate classes, those of *train* again and again, with slight noise; of patients, if real."""
    rng = np.random.default_rng(n + per_patient)
    given = rng.permutation(ImageSet.load(train).images) if train else smoothed_noise(64, rng)
    images = np.empty((n, *given.shape[1:]), np.uint8)
    for i in range(n):
        image = given[i % len(given)]
        images[i] = np.clip(image + rng.integers(-2, 3, image.shape), 0, 255)
    names = np.arange(n)
    patients = np.char.add("patient ", (names // per_patient).astype(str)) if per_patient else None
    return ImageSet(images, names // 2 % 2, names.astype(str), patients)


def judged_by_features(dimension: int, n: int, real: ImageSet) -> tuple[np.ndarray, Floor]:
    """Random features of *n* synthetic images, and of the real ones with a floor."""
    rng, name = np.random.default_rng(0), "squeezenet"
    values = {(name, pathology, "FD"): np.ones(HALVINGS) for pathology in (*CLASSES, ALL)}
    known = {name: rng.standard_normal((len(real), dimension), np.float32)}
    floor = Floor(known, halves(real, rng, HALVINGS), values, dict.fromkeys(values, 0.1))
    return rng.standard_normal((n, dimension), np.float32), floor


Work = Callable[[], object]


def prepare_features(synthetic: ImageSet, real: ImageSet, parameters: dict[str, Path]) -> Work:
    return lambda: features(synthetic.images, "squeezenet", parameters["squeezenet"])


def prepare_naturalness(synthetic: ImageSet, real: ImageSet, parameters: dict[str, Path]) -> Work:
    model = NiqeModel(np.zeros(36), np.eye(36))
    return lambda: (naturalness(synthetic.images, parameters), niqe_refitted(synthetic.images, model))


def prepare_niqe(synthetic: ImageSet, real: ImageSet, parameters: dict[str, Path]) -> Work:
    return lambda: fit_niqe(real.images)


def prepare_similarity(synthetic: ImageSet, real: ImageSet, parameters: dict[str, Path]) -> Work:
    found, floor = judged_by_features(512, len(synthetic), real)
    described, reals = (
        Described(images, pd.DataFrame(), features)
        for images, features in ((synthetic, {"squeezenet": found}), (real, floor.features))
    )

    def work() -> None:
        rng = np.random.default_rng(0)
        samples = assess._of_pairs(described, synthetic.ids, reals, rng)
        assess._mean_rows("generator", samples, real, RESAMPLES, rng)

    return work


def prepare_fidelity(synthetic: ImageSet, real: ImageSet, parameters: dict[str, Path], dimension: int = 512) -> Work:
    found, floor = judged_by_features(dimension, len(synthetic), real)
    rng = np.random.default_rng(0)
    return lambda: measure_fidelity("generator", synthetic, {"squeezenet": found}, real, floor, rng)


def prepare_wide_fidelity(synthetic: ImageSet, real: ImageSet, parameters: dict[str, Path]) -> Work:
    return prepare_fidelity(synthetic, real, parameters, 1280)


def prepare_halves(synthetic: ImageSet, real: ImageSet, parameters: dict[str, Path]) -> Work:
    return lambda: halves(real, np.random.default_rng(0))


def prepare_novelty(synthetic: ImageSet, real: ImageSet, parameters: dict[str, Path]) -> Work:
    found, floor = judged_by_features(512, len(synthetic), real)
    known = floor.features["squeezenet"]

    def work() -> None:
        units = np.char.add("synthetic ", synthetic.ids)
        nearest = find_nearest(synthetic.images, found, units, real.images, known, real.patients)
        authentic(nearest, known)
        for percentile in (5, 50):
            sides = (nearest.distance, nearest.distance, units, units)
            distance_ratio(*sides, percentile, RESAMPLES, np.random.default_rng(0))

    return work


GROWING, FIXED = True, False
STAGES = {  # what makes the work, and whether the real images grow with the synthetic ones
    "features": (prepare_features, FIXED),
    "naturalness": (prepare_naturalness, FIXED),
    "similarity": (prepare_similarity, GROWING),
    "fidelity": (prepare_fidelity, GROWING),
    "fidelity-1280": (prepare_wide_fidelity, GROWING),
    "novelty-1000": (prepare_novelty, FIXED),
    "novelty": (prepare_novelty, GROWING),
    "niqe-model": (prepare_niqe, GROWING),
    "halves": (prepare_halves, GROWING),
}


def scaled(stage: str, n: int, parameters: dict[str, Path], train: Path | None) -> tuple[float, float]:
    """Processor seconds, and MB of memory: the most that was added to what goes in."""
    torch.set_num_threads(1)
    prepare, growing = STAGES[stage]
    work = prepare(many(n, train), many(n if growing else FEW, train, per_patient=2), parameters)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew (Linux)
    before, start = memory("VmRSS"), time.process_time()
    work()
    return time.process_time() - start, memory("VmHWM") - before


def memory(line: str) -> float:
    """MB: VmRSS, what the process has now, or VmHWM, the most that it had."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition(f"{line}:")[2].split()[0]) * 1024 / 1e6


def scaling(sizes: list[int], stages: list[str], parameters: dict[str, Path], train: Path | None) -> None:
    """Print a table."""
    print("stage             images       s   ms an image   MB added")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for stage in stages:
            for n in sizes:
                spent, added = pool.submit(scaled, stage, n, parameters, train).result()
                print(f"{stage:15}{n:9}{spent:8.1f}{1e3 * spent / n:14.2f}{added:11.0f}", flush=True)


def processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))


def main() -> None:
    """Print the comparison, or the scaling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=Path, required=True, help="the folder of the rule's parameter files")
    parser.add_argument("--train", type=Path, help="an image set of real images")
    parser.add_argument("--images", type=int, default=100, help="of each class and generator (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: %(default)s)")
    parser.add_argument(
        "--extractor", choices=[*PLAIN, "inception"], default="efficientnet_lite0", help="(default: %(default)s)"
    )
    parser.add_argument("--scaling", type=int, nargs="+", metavar="N", help="numbers of images")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=[*STAGES], help="that are scaled (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parameters = {name: arguments.parameters / name for name in ("niqe", "brisque", *NETWORKS)}
    print(f"{processor()}, one thread, torch {torch.__version__}")
    if arguments.scaling:
        scaling(arguments.scaling, arguments.stages, parameters, arguments.train)
    else:
        sets = image_sets(arguments.images, arguments.train)
        compare(sets, arguments.extractor, parameters, arguments.rounds)


if __name__ == "__main__":
    main()
