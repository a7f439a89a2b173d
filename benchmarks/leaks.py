"""How often honest folders of images are called leaky, and copies of test ROIs found.

    OMP_NUM_THREADS=1 python -m benchmarks.leaks results/ultrasound/rois.npz results/parameters/squeezenet

from the repository's root, of a study that has cropped its ROIs. Each time its patients are dealt anew: to a training
part, to parts that no training may see, and the rest stand for images that an honest maker made: real ROIs of other
patients, the best that there are. Then some of them are replaced by copies of ROIs of those parts, changed as a
generator changes what it learnt by heart, and by copies that are turned by 5° as well.
"""

import argparse
from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, rotate

from mammosynth.findings.verdicts import leaks
from mammosynth.imageset import ImageSet
from mammosynth.networks.features import features
from mammosynth.quality.leaks import LEAK, find_leaks

TRAIN, UNSEEN = 0.4, 0.3  # shares of the patients, about those of a fold of five
COPIES = (1, 3, 10)


def changed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirrored, shifted by 3 px, darker, blurred and noisy."""
    blurred = gaussian_filter(images[:, :, ::-1] * 0.85, (0, 1, 1))
    return np.clip(np.roll(blurred, 3, axis=2) + rng.normal(0, 5, images.shape), 0, 255).astype(np.uint8)


def turned(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same, turned by 5°."""
    return rotate(changed(images, rng), 5, axes=(1, 2), reshape=False, order=1, mode="reflect")


def main() -> None:
    """Print a table of shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rois")
    parser.add_argument("weights", help="of SqueezeNet")
    parser.add_argument("--times", type=int, default=100)
    given = parser.parse_args()
    rois, rng = ImageSet.load(given.rois), np.random.default_rng(0)
    known = features(rois.images, "squeezenet", given.weights)
    of = dict(zip(rois.ids.tolist(), known))
    kinds: dict[str, Callable[..., np.ndarray] | None] = {"honest": None, "changed": changed, "turned by 5°": turned}
    found: dict[tuple[str, int], list[tuple[bool, int]]] = {}

    def judged(images: ImageSet, own: np.ndarray, train: ImageSet, unseen: ImageSet) -> tuple[bool, int]:
        of_train, of_unseen = (np.stack([of[name] for name in part.ids.tolist()]) for part in (train, unseen))
        table = find_leaks("theirs", images, own, train, of_train, {"test": unseen}, {"test": of_unseen})
        placed = table.assign(modality="", fold=0, seed=0)
        return leaks(placed)[""]["theirs"].found, int((table[LEAK] != "").sum())

    for _ in range(given.times):
        patients = rng.permutation(np.unique(rois.patients))
        ends = np.round(np.cumsum([TRAIN, UNSEEN]) * len(patients)).astype(int)
        train, unseen, rest = (rois[np.isin(rois.patients, some)] for some in np.split(patients, ends))
        own = np.stack([of[name] for name in rest.ids.tolist()])
        for kind, change in kinds.items():
            for copies in COPIES if change else (0,):
                images, its_own = rest.images.copy(), own.copy()
                if change:
                    images[:copies] = change(unseen[rng.permutation(len(unseen))[:copies]].images, rng)
                    its_own[:copies] = features(images[:copies], "squeezenet", given.weights)
                among = ImageSet(images, rest.labels, rest.ids)
                found.setdefault((kind, copies), []).append(judged(among, its_own, train, unseen))
    print("| images | copies | called leaky | copies that are certain |\n|---|---|---|---|")
    for (kind, copies), cases in found.items():
        called, certain = np.mean(cases, axis=0)
        share = f"{100 * certain / copies:.0f} %" if copies else f"{certain:g}"
        print(f"| {kind} | {copies} | {100 * called:.0f} of 100 | {share} |")


if __name__ == "__main__":
    main()
