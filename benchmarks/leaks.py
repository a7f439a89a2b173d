"""How often images of GANs that saw no test ROI are called leaky, and copies of test ROIs among them found.

    OMP_NUM_THREADS=1 python -m benchmarks.leaks results/ultrasound/fold0 --weights results/parameters/squeezenet

from the repository's root, of a split whose GANs are trained: they saw its training part alone, and stand for honest
makers. Then 1 and 10 of their images are replaced by ROIs of the validation and test part, changed as a generator
changes what it learnt by heart: mirrored, shifted by 3 px, darker, blurred and noisy.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from mammosynth.findings.verdicts import leaks
from mammosynth.imageset import ImageSet
from mammosynth.networks.features import features
from mammosynth.quality.leaks import LEAK, find_leaks
from mammosynth.quality.measures import NEAR_COPY

COPIES = (0, 1, 10)


def changed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Copies of images uint8 [N, H, W]."""
    blurred = gaussian_filter(images[:, :, ::-1] * 0.85, (0, 1, 1))
    return np.clip(np.roll(blurred, 3, axis=2) + rng.normal(0, 5, images.shape), 0, 255).astype(np.uint8)


def main() -> None:
    """Print a row a set of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("split", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="of SqueezeNet")
    given = parser.parse_args()
    train, *others = (ImageSet.load(given.split / f"{part}.npz") for part in ("train", "val", "test"))
    parts = dict(zip(("val", "test"), others))
    unseen, rng = ImageSet.concatenate(others), np.random.default_rng(0)

    def seen(images: ImageSet) -> np.ndarray:
        return features(images.images, "squeezenet", given.weights)

    of_train, of_parts = seen(train), {name: seen(part) for name, part in parts.items()}
    files = sorted((given.split / "synthetic").glob("*/seed*.npz"))
    print("| GAN, seed | images | copies | near copies | most alike | certain | called leaky |\n" + "|---" * 7 + "|")
    for file in files:
        images = ImageSet.load(file)
        for copies in COPIES:
            if copies:
                images.images[:copies] = changed(unseen[rng.permutation(len(unseen))[:copies]].images, rng)
            table = find_leaks("theirs", images, seen(images), train, of_train, parts, of_parts)
            own = table[table["generator"] == "theirs"]
            called = leaks(table.assign(modality="", fold=0, seed=0), len(files))[""]["theirs"].found
            shown = f"{own[NEAR_COPY].sum()} | {own['correlation'].max():.2f} | {(own[LEAK] != '').sum()} | {called}"
            print(f"| {file.parent.name}, {file.stem} | {len(images)} | {copies} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
