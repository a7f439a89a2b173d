"""Images made elsewhere, by a diffusion model or a colleague: they stand in a GAN's place, and nothing is trained.

Their files are found and read as those of real ROIs by the reader ``rois``: a file is one ROI, without a margin about
it; of the study's size and 8 bits its pixels stay as they are, all others are windowed and resized as real ones are. So
no step of ours tells them apart.  None is left out: what real ROIs are excluded for is refused here, and an image of a
single grey is what its maker made, and counts.
"""

import logging
from collections.abc import Mapping
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np

from mammosynth.databases.lesion import Lesion, Problems, Source
from mammosynth.databases.rois import read
from mammosynth.errors import InputError
from mammosynth.fingerprint import refuse_unreadable
from mammosynth.gans.settings import settings_at
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.progress import track
from mammosynth.rois import crop_image

log = logging.getLogger(__name__)

CHUNK = 16  # images that a thread takes at once


def collect(
    name: str,
    settings: Mapping[str, str],
    modality: str,
    size: int,
    min_side: int,
    max_padded: float = 1.0,
    threads: int = 1,
) -> ImageSet:
    """All images of generator *name* and a modality, *size* × *size*, in the order of their names, benign ones first.

    settings: root, and of both classes a pattern of its folders or files below; min_side, max_padded: as for
    `mammosynth.rois.crop_rois`. Ids are *name* and the place below the root.

    Raises InputError, one for all files, if there is no image of a class, or one is unreadable, too small or padded too
    much.
    """
    settings = settings_at(settings, modality)
    root = Path(settings["root"])
    if not root.is_dir():
        raise InputError(f"{root} is no folder: mend generators: {name}: root in the config")
    refuse_unreadable(root)
    files = read(Source(name, {**settings, "modality": modality}, root)).lesions
    problems = Problems()

    def crop(file: Lesion) -> np.ndarray | None:
        with problems.gathered():
            box = 0, 0, file.x1 or 0, file.y1 or 0
            image, (scale, padded, *_) = crop_image(Path(file.image), modality, [box], size, 0)[0]
            if round(scale * size) < min_side:
                raise InputError(
                    f"{file.image} is of {file.x1}×{file.y1} pixels, and the longer side of a ROI has {min_side}: "
                    "take it out of the folder, or lower rois: min_side"
                )
            if padded > max_padded:
                raise InputError(
                    f"{file.image} is of {file.x1}×{file.y1} pixels, and more than {max_padded:g} of its square would "
                    "be padded: take it out of the folder, or raise rois: max_padded"
                )
            return image
        return None

    with ThreadPool(threads) as pool:
        images = list(track(pool.imap(crop, files, CHUNK), "read images", total=len(files)))
    problems.found.sort()
    problems.refuse()
    labels = np.array([CLASSES.index(file.pathology) for file in files])
    log.info("%s: %d images of %s, %d of them malignant", name, len(files), modality, labels.sum())
    ids = np.array([file.lesion_id for file in files])
    return ImageSet(np.stack([image for image in images if image is not None]), labels, ids)


def refuse_few(name: str, images: ImageSet, per_class: int) -> None:
    """Raise InputError if generator *name* has not so many images of each class."""
    counts = np.bincount(images.labels, minlength=len(CLASSES))
    if counts.min() < per_class:
        having = " and ".join(f"{count} {pathology}" for pathology, count in zip(CLASSES, counts))
        raise InputError(
            f"{name} has {having} images, and {per_class} of each class are needed: for its largest dose in mixes, and "
            "at least as many as the training part has of its larger class, times quality.filter.oversample; add "
            "images, or lower these"
        )


def draw(name: str, images: ImageSet, per_class: int, seed: int) -> ImageSet:
    """*per_class* images of each class, without replacement, as *seed* has it; fewer are among those of more.

    Raises InputError if there are not so many.
    """
    refuse_few(name, images, per_class)
    order = np.random.default_rng(seed).permutation(len(images))
    drawn = [order[images.labels[order] == label][:per_class] for label in range(len(CLASSES))]
    return images[np.concatenate([np.sort(of_class) for of_class in drawn])]
