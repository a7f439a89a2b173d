"""Images from and to other tools: folders of image files, and arrays in ``.npz`` files.

**Folders** hold PNG, TIFF, JPEG, PGM or BMP files, at any depth. Folders of the classes' names say which class an image
is of. ``images.csv`` in the folder, which an export writes, says it instead, with ids, patients and sources.

**Arrays**: image sets of mammosynth (``images``, ``labels``, …); those of MedMNIST (``train_images`` uint8 [N, H, W],
``train_labels`` [N, 1], and the same of ``val`` and ``test``); ``images`` or ``arr_0`` alone, with ``labels`` or
``arr_1`` beside them if there are classes, as other tools save samples.

Images are grey, of 8 bits and of one size. What is not so is refused, and nothing is guessed: how 16 bits are windowed,
colours turned grey and sides cropped changes what measures say.
"""

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mammosynth.databases.files import walk
from mammosynth.databases.pixels import read_picture
from mammosynth.errors import InputError, Problems
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.partition import PARTS
from mammosynth.progress import track
from mammosynth.rois import resize

SUFFIXES = {".png", ".pgm", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".dcm", ".dicom"}
TABLE = "images.csv"
COLUMNS = ("file", "id", "pathology", "patient", "source")
GREY = 8  # levels that the channels of a grey image may differ by: JPEG rounds them
NAMES: Mapping[str, str] = {name: name for name in CLASSES}


@dataclass(frozen=True)
class Given:
    """Images that a person gives.

    place: what sentences call them; images: patients are '' where they are not known; labelled: whether classes are
    known (else all labels are 0).
    """

    place: str
    images: ImageSet
    labelled: bool

    @property
    def patients_known(self) -> bool:
        """Whether it is known which patient each image is of."""
        return len(self.images) > 0 and bool((self.images.patients != "").all())


def read(
    given: "str | Path | np.ndarray | ImageSet",
    place: str = "",
    names: Mapping[str, str] = NAMES,
    patient: str | None = None,
    size: int | None = None,
    parts: Sequence[str] = PARTS,
) -> Given:
    """Images of a folder, a ``.npz``, an array uint8 [N, H, W] or an image set.

    place: what sentences call them, the path if nothing is given. names: what each class is called there, as a folder
    or as a label (by its number: 0 is benign and 1 malignant unless names say otherwise). patient: a regular expression
    of which the first group, in an image's path, is the patient. size: the side that images are resized to, if they
    are. parts: which of a file of MedMNIST's form.

    Raises InputError if there is no image, or if images are of several sizes, in colour, not of 8 bits, in no class
    where others are, or of no patient where *patient* finds one in others.
    """
    if isinstance(given, ImageSet):
        found = Given(place or "the image set", given, True)
    elif isinstance(given, np.ndarray):
        place = place or "the array"
        found = Given(place, _image_set(_grey(given, place), None, place, names), False)
    else:
        path = Path(given)
        place = place or str(given)
        if not path.exists():
            raise InputError(f"{place} does not exist: name a folder of images, or a .npz file")
        found = _read_folder(path, place, names, size) if path.is_dir() else _read_arrays(path, place, names, parts)
    if not len(found.images):
        raise InputError(f"{found.place} holds no images: name a folder of image files ({', '.join(sorted(SUFFIXES))})")
    images = found.images
    if len(set(images.ids.tolist())) < len(images):
        raise InputError(f"{found.place} names two images alike: give each an id of its own")
    if patient:
        images = replace(images, patients=_patients(images, patient, found.place))
    if size and images.images.shape[1:] != (size, size):
        images = replace(images, images=np.stack([_resized(image, size, found.place) for image in images.images]))
    return replace(found, images=images)


def has_parts(path: "str | Path | np.ndarray | ImageSet") -> bool:
    """Whether it is a file of MedMNIST's form with images of other parts beside those to train on."""
    if isinstance(path, str | Path) and Path(path).is_file() and Path(path).suffix == ".npz":
        with np.load(path) as file:
            return "train_images" in file and any(f"{part}_images" in file for part in PARTS[1:])
    return False


def _read_folder(folder: Path, place: str, names: Mapping[str, str], size: int | None) -> Given:
    table = _table(folder / TABLE, place) if (folder / TABLE).is_file() else None
    if table is not None:
        paths = [folder / file for file in table["file"]]
    else:
        paths = [path for path in walk(folder) if path.suffix.lower() in SUFFIXES]
    images = _read_files(paths, place, size)
    ids = [path.relative_to(folder).as_posix() for path in paths]
    if table is not None:
        known = bool((table["pathology"] != "").all())
        if known and (other := sorted(set(table["pathology"]) - set(CLASSES))):
            raise InputError(f"{folder / TABLE} has the pathology {other[0]}: only {' and '.join(CLASSES)} are known")
        labels = table["pathology"].map(CLASSES.index).to_numpy() if known else np.zeros(len(table))
        found = ImageSet(images, labels, table["id"], table["patient"], table["source"])
        return Given(place, found, known)
    classes = [_class_of(path.relative_to(folder), names, place) for path in paths]
    if missing := [name for name, found in zip(ids, classes) if found is None]:
        if len(missing) < len(ids):
            raise InputError(
                f"{place} has {len(missing)} images outside its folders {' and '.join(names.values())} "
                f"({missing[0]} is one): take them out, or name the folders of the classes"
            )
        return Given(place, ImageSet(images, np.zeros(len(ids)), np.array(ids)), False)
    return Given(place, ImageSet(images, np.array(classes), np.array(ids)), True)


def _table(path: Path, place: str) -> pd.DataFrame:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [column for column in COLUMNS if column not in table]:
        raise InputError(
            f"{path} has no column {missing[0]}: mend it, or remove it to have {place} read by its folders"
        )
    return table


def _class_of(path: Path, names: Mapping[str, str], place: str) -> int | None:
    folders = {part.casefold() for part in path.parts[:-1]}
    found = [label for label, name in enumerate(CLASSES) if names[name].casefold() in folders]
    if len(found) > 1:
        raise InputError(f"{place}: {path} lies in folders of both classes: leave it in one")
    return found[0] if found else None


def _read_files(paths: Sequence[Path], place: str, size: int | None) -> np.ndarray:
    """Images uint8 [N, H, W] of files, resized to *size* if it is given."""
    problems, images = Problems(), []
    first: dict[str, list[Path]] = {"colour": [], "depth": []}
    for path in track(paths, f"read {place}"):
        with problems.gathered():
            pixels = read_picture(path).shown
            if pixels.ndim == 3:
                if np.ptp(pixels.astype(int), axis=2).max() > GREY:
                    first["colour"].append(path)
                pixels = pixels.mean(axis=2).round().astype(pixels.dtype)
            if pixels.dtype != np.uint8:
                first["depth"].append(path)
            images.append(_resized(pixels, size, place) if size else pixels)
    problems.refuse()
    if first["colour"]:
        raise InputError(
            f"{place} has {len(first['colour'])} images in colour ({first['colour'][0]} is one): turn them grey, or "
            "take them out, as only grey images are compared"
        )
    if first["depth"]:
        raise InputError(
            f"{place} has {len(first['depth'])} images of more than 8 bits ({first['depth'][0]} is one): window them "
            "to 8 bits, all real and synthetic ones alike, as greys are compared"
        )
    shapes = Counter(image.shape for image in images)
    if len(shapes) > 1:
        shown = ", ".join(f"{w}×{h} ({n})" for (h, w), n in shapes.most_common(4))
        raise InputError(
            f"{place} has images of {len(shapes)} sizes, {shown}{', …' if len(shapes) > 4 else ''}: crop all alike, or "
            "have square ones resized by --size"
        )
    return np.stack(images) if images else np.empty((0, 1, 1), np.uint8)


def _resized(image: np.ndarray, size: int, place: str) -> np.ndarray:
    if image.shape == (size, size):
        return image
    height, width = image.shape
    if height != width:
        raise InputError(
            f"{place} has an image of {width}×{height} px, which --size would distort: crop it to a square"
        )
    return np.clip(resize(image, size), 0, 255).round().astype(np.uint8)


def _read_arrays(path: Path, place: str, names: Mapping[str, str], parts: Sequence[str]) -> Given:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError) as error:
        raise InputError(f"{place} is neither a folder of images nor a .npz file of arrays, or not whole") from error
    if "train_images" in arrays or any(f"{part}_images" in arrays for part in parts):
        sets = []
        for part in parts:
            if f"{part}_images" in arrays and len(arrays[f"{part}_images"]):
                own = {
                    key.removeprefix(f"{part}_"): value for key, value in arrays.items() if key.startswith(f"{part}_")
                }
                sets.append(_of_arrays(own, place, names, f"{part} "))
        if not sets:
            raise InputError(f"{place} holds no images of its part {' or '.join(parts)}")
        return Given(place, ImageSet.concatenate(given.images for given in sets), all(given.labelled for given in sets))
    if "arr_0" in arrays:
        arrays = {"images": arrays["arr_0"]} | ({"labels": arrays["arr_1"]} if "arr_1" in arrays else {})
    if "images" not in arrays:
        raise InputError(
            f"{place} has neither images, train_images nor arr_0 among its arrays ({', '.join(arrays) or 'none'}): "
            "save the images under one of these names"
        )
    return _of_arrays(arrays, place, names)


def _of_arrays(arrays: Mapping[str, np.ndarray], place: str, names: Mapping[str, str], prefix: str = "") -> Given:
    images = _grey(arrays["images"], place)
    found = _image_set(images, arrays.get("labels"), place, names)
    found = replace(found, ids=np.array([f"{prefix}{name}" for name in found.ids.tolist()]))
    for name in ("ids", "patients", "sources"):
        if name in arrays and len(arrays[name]) == len(images):
            found = replace(found, **{name: arrays[name]})
    return Given(place, found, "labels" in arrays)


def _grey(images: np.ndarray, place: str) -> np.ndarray:
    """An array of images as uint8 [N, H, W]."""
    if images.dtype != np.uint8:
        raise InputError(f"{place} holds images of {images.dtype}: save them as uint8, black 0 and white 255")
    if images.ndim == 4 and images.shape[3] in (1, 3):
        if np.ptp(images.astype(int), axis=3).max(initial=0) > GREY:
            raise InputError(f"{place} holds images in colour: turn them grey, as only grey images are compared")
        images = images.mean(axis=3).round().astype(np.uint8)
    if images.ndim != 3:
        raise InputError(f"{place} holds an array of {images.ndim} dimensions: images are [N, height, width]")
    return images


def _image_set(images: np.ndarray, labels: np.ndarray | None, place: str, names: Mapping[str, str]) -> ImageSet:
    ids = np.array([f"{i:05d}" for i in range(len(images))])
    if labels is None:
        return ImageSet(images, np.zeros(len(images)), ids)
    flat = np.asarray(labels).reshape(-1)
    if len(flat) != len(images):
        raise InputError(f"{place} has {len(flat)} labels for {len(images)} images: save one an image")
    numbers = {names[name] if names[name] != name else str(label): label for label, name in enumerate(CLASSES)}
    if other := sorted({str(value) for value in flat.tolist()} - set(numbers)):
        raise InputError(
            f"{place} has the label {other[0]}, and the classes are {' and '.join(numbers)}: say which label is which "
            "by --benign and --malignant, and leave others out"
        )
    return ImageSet(images, np.array([numbers[str(value)] for value in flat.tolist()]), ids)


def _patients(images: ImageSet, pattern: str, place: str) -> np.ndarray:
    try:
        found = [re.search(pattern, name) for name in images.ids.tolist()]
    except re.error as error:
        raise InputError(f"--patient {pattern} is no regular expression ({error})") from error
    if unnamed := [name for name, match in zip(images.ids.tolist(), found) if not match]:
        raise InputError(f"--patient {pattern} finds no patient in {unnamed[0]} of {place}: mend it")
    return np.array([match[1] if match.re.groups else match[0] for match in found if match])


def write_folder(images: ImageSet, folder: Path) -> None:
    """A PNG an image, below a folder a class, and ``images.csv``, which says what each is.

    Raises InputError if something lies there already.
    """
    refuse_used(folder)
    files = []
    for number, (image, label) in enumerate(zip(track(images.images, f"write {folder}"), images.labels)):
        files.append(f"{CLASSES[label]}/{number:05d}.png")
        (folder / files[-1]).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / files[-1])
    columns = (files, images.ids, np.array(CLASSES)[images.labels], images.patients, images.sources)
    pd.DataFrame(dict(zip(COLUMNS, columns))).to_csv(folder / TABLE, index=False)


def write_medmnist(parts: Mapping[str, ImageSet], path: Path) -> None:
    """A ``.npz`` of MedMNIST's form: ``{part}_images`` uint8 [N, H, W] and ``{part}_labels`` uint8 [N, 1].

    parts: by ``train``, ``val`` and ``test``. Beside them lie ``{part}_ids``, ``{part}_patients`` and
    ``{part}_sources``, which MedMNIST has not. Raises InputError if the file is there already.
    """
    refuse_used(path)
    arrays: dict[str, np.ndarray] = {}
    for part, images in parts.items():
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = images.images, images.labels[:, None]
        arrays |= {f"{part}_{name}": getattr(images, name) for name in ("ids", "patients", "sources")}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def refuse_used(path: Path) -> None:
    """Raise InputError if a file, or anything in a folder, would be written over."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise InputError(f"{path} is there already: remove it, or name another place")


__all__ = ["COLUMNS", "TABLE", "Given", "has_parts", "read", "refuse_used", "write_folder", "write_medmnist"]
