"""Image sets: what every stage after ROI extraction reads and writes."""

import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mammosynth.errors import InputError
from mammosynth.files import replacing

CLASSES = ("benign", "malignant")


@dataclass
class ImageSet:
    """Grey images with their classes, in one compressed ``.npz``.

    images: uint8 [N, H, W]; labels: uint8 [N], 0 benign, 1 malignant; ids: str [N], unique names;
    patients: str [N], the unit of splitting and resampling (a patient, or a group of near-duplicates; '' where the
    image is synthetic); sources: str [N], the id of the real image that this one is a translation of, else ''.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    patients: np.ndarray = None  # type: ignore[assignment]  # filled in below
    sources: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.images = np.asarray(self.images, np.uint8)
        self.labels = np.asarray(self.labels, np.uint8)
        n = len(self.images)
        for name in ("ids", "patients", "sources"):
            value = getattr(self, name)
            setattr(self, name, np.full(n, "", dtype=np.str_) if value is None else np.asarray(value, dtype=np.str_))
            if len(getattr(self, name)) != n:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {n} images")
        if self.images.ndim != 3 or self.labels.shape != (n,):
            raise ValueError(
                f"images must be [N, H, W] and labels [N], not {self.images.shape} and {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: slice | np.ndarray | list[int]) -> "ImageSet":
        """The images at *index*: a slice, positions or a boolean mask."""
        return ImageSet(
            self.images[index], self.labels[index], self.ids[index], self.patients[index], self.sources[index]
        )

    @property
    def classes(self) -> list[str]:
        """The classes that it has images of."""
        return [name for label, name in enumerate(CLASSES) if (self.labels == label).any()]

    def of_class(self, pathology: str) -> "ImageSet":
        """The images of one class, by its name."""
        return self[self.labels == CLASSES.index(pathology)]

    @staticmethod
    def concatenate(sets: Iterable["ImageSet"]) -> "ImageSet":
        """All images of several sets, in order."""
        sets = list(sets)
        fields = ("images", "labels", "ids", "patients", "sources")
        return ImageSet(*(np.concatenate([getattr(s, field) for s in sets]) for field in fields))

    def save(self, path: str | Path) -> None:
        """Write the set; *path* never holds half a file."""
        # As wide as their own longest, and not as in the set that this one was cut from: its bytes are its own.
        ids, patients, sources = (np.array(of.tolist(), np.str_) for of in (self.ids, self.patients, self.sources))
        with replacing(path) as part, open(part, "wb") as file:
            np.savez_compressed(
                file, images=self.images, labels=self.labels, ids=ids, patients=patients, sources=sources
            )

    @staticmethod
    def load(path: str | Path) -> "ImageSet":
        """Read a set.

        Raises InputError if *path* is not an image set.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return ImageSet(*(file[name] for name in ("images", "labels", "ids", "patients", "sources")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{path} is not an image set of mammosynth ({error}): delete it and run again") from error
