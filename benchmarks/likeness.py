"""Searching alike images by sketches, against correlating all pairs.

    OMP_NUM_THREADS=1 python -m benchmarks.likeness results/mammography/rois.npz --images 1000 5000 --alone 20000

from the repository's root, of a study that has cropped its ROIs: of ROIs turned at random, which are as unlike as those
of other patients. `join`: pairs of a set that correlate by more than .6, as curation looks for them; `nearest`: of each
image the ROI of another set of as many that is most alike, as novelty does. Processor seconds, and whether results are
the same; at the sizes of --alone the search by sketches only.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.ndimage import rotate

from mammosynth.arrays.likeness import BATCH, alike, correlate_structures, most_alike, structure_of
from mammosynth.curation import REVIEWED
from mammosynth.imageset import ImageSet

Found = tuple[np.ndarray, np.ndarray]


def turned(rois: np.ndarray, count: int, seed: int) -> np.ndarray:
    """*count* ROIs, uint8 [count, H, W], each turned by an angle of its own."""
    rng = np.random.default_rng(seed)
    drawn = zip(rng.integers(0, len(rois), count), rng.uniform(15, 345, count))
    return np.stack([rotate(rois[i], angle, reshape=False, order=1, mode="reflect") for i, angle in drawn])


def alike_by_all(images: np.ndarray) -> Found:
    """What `alike` finds, by all pairs, batch by batch."""
    pairs, found = [], []
    for i in range(0, len(images), BATCH):
        x = structure_of(images[i : i + BATCH])
        for j in range(i, len(images), BATCH):
            y = structure_of(images[j : j + BATCH])
            forth = correlate_structures(x, y)
            likeness = np.maximum(forth, (forth if i == j else correlate_structures(y, x)).T)
            one, other = np.nonzero(likeness > REVIEWED)
            once = i + one < j + other
            pairs.append(np.stack([i + one, j + other], axis=1)[once])
            found.append(likeness[one, other][once])
    together = np.concatenate(pairs)
    order = np.lexsort(together.T[::-1])
    return together[order], np.concatenate(found)[order]


def most_alike_by_all(images: np.ndarray, known: np.ndarray) -> Found:
    """What `most_alike` finds, by all pairs, batch by batch."""
    nearest, best = np.zeros(len(images), int), np.full(len(images), -np.inf, np.float32)
    for i in range(0, len(images), BATCH):
        rows = slice(i, i + BATCH)
        x = structure_of(images[rows])
        for j in range(0, len(known), BATCH):
            likeness = correlate_structures(x, structure_of(known[j : j + BATCH]))
            better = likeness.max(1) > best[rows]
            nearest[rows][better] = j + likeness.argmax(1)[better]
            best[rows][better] = likeness.max(1)[better]
    return nearest, best


def timed(work: Callable[[], Found]) -> tuple[float, Found]:
    """Processor seconds of *work*, and what it found."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def main() -> None:
    """Print a row a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rois")
    parser.add_argument("--images", type=int, nargs="*", default=[1000])
    parser.add_argument("--alone", type=int, nargs="*", default=[])
    given = parser.parse_args()
    rois = ImageSet.load(given.rois).images
    print("| search | images | all pairs | sketches | ratio | the same |\n|---|---|---|---|---|---|")
    for count in [*given.images, *given.alone]:
        images, known = turned(rois, count, 0), turned(rois, count, 1)
        units = np.arange(count)
        for name, by_sketches, by_all in (
            ("join", lambda x=images: alike(x, REVIEWED), lambda x=images: alike_by_all(x)),
            (
                "nearest",
                lambda x=images, y=known, u=units: most_alike(x, u, y, -1 - u),
                lambda x=images, y=known: most_alike_by_all(x, y),
            ),
        ):
            seconds, ours = timed(by_sketches)
            row = f"| {name} | {count} | – | {seconds:.1f} s | – | – |"
            if count in given.images:
                of_all, theirs = timed(by_all)
                same = np.array_equal(ours[0], theirs[0]) and np.allclose(ours[1], theirs[1], atol=1e-5)
                row = f"| {name} | {count} | {of_all:.1f} s | {seconds:.1f} s | {of_all / seconds:.1f} | {same} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
