"""BUSI, the breast ultrasound images of Baheya Hospital.

Layout: ``benign/benign (1).png`` with ``benign (1)_mask.png`` and, where an image shows several lesions or parts of
one, ``benign (1)_mask_1.png`` and so on; ``malignant/`` and ``normal/`` likewise. The root is the folder that holds
these three, or the folder that holds it as ``Dataset_BUSI_with_GT``.
Label rule: the folder. Several masks of an image are united to one lesion. Images of ``normal`` show no lesion.
Patients: none are published. An optional ``patients.csv`` in the root (columns image, patient_id; image as
``benign/benign (1).png``) gives them; without it, near-duplicate groups stand in (see `mammosynth.curation`).
"""

import re
from collections import defaultdict
from pathlib import Path

from mammosynth.databases.database import Database
from mammosynth.databases.files import list_files
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, read_sidecar, refuse_other_images, sides
from mammosynth.databases.pixels import masks_box
from mammosynth.errors import InputError

FOLDER = "Dataset_BUSI_with_GT"
LABELS = ("benign", "malignant", "normal")
PATIENTS = "patients.csv"
SUFFIX = ".png"

DATABASE = Database(
    title="BUSI",
    licence="public, to be cited",
    citation='W. Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 28:104863 (2020)',
    tried="its real files, but for 121 of the normal ones",
    lesions={"benign": 437, "malignant": 210},
    files=[{"address": "https://scholar.cu.edu.eg/Dataset_BUSI.zip"}],
    # About a fifth of the images are near-duplicates of others (Pawłowska et al., Data in Brief 48:109247, 2023). On
    # the 437 benign, 210 malignant and 12 of the normal images, 32 of 256 bits gives 106 groups of 229 images, the
    # largest of 4; up to 8 bits more joins hardly any more (114 groups), and random pairs lie at 126 (0.1 % of them
    # below 92).
    near_duplicates=32,
    phantoms="mammosynth.databases.phantoms.ultrasound",
)

_NAME = re.compile(r"(?P<stem>(?:benign|malignant|normal) \(\d+\))(?P<mask>_mask(?:_\d+)?)?\.(?i:png)")


def read(source: Source) -> Reading:
    """The lesions of BUSI, or of phantoms in its layout.

    Raises InputError, one for all files at fault, if there is no image, a mask is missing, empty, unreadable, of
    another size than its image or for no image, two images share a number, an image is no PNG, or a sidecar and the
    folders disagree.
    """
    folder = source.root / FOLDER if (source.root / FOLDER).is_dir() else source.root
    images, masks = _list_files(folder)
    if not images:
        raise InputError(
            f"{folder} holds no BUSI image such as benign/benign (1).png: "
            f"point root of {source.name} at the folder that holds {', '.join(LABELS)} or {FOLDER}"
        )
    keys = {path.relative_to(folder).as_posix() for path in images}
    source.check_lists(keys)
    patients = _read_patients(source, keys)
    problems = Problems()
    reading = Reading([])
    for stem in sorted(set(masks) - {image.with_suffix("") for image in images}):
        with problems.gathered():
            raise InputError(f"{masks[stem][0]} is a mask for no image: add {stem.name}{SUFFIX}, or remove the mask")
    for image in images:
        key = image.relative_to(folder).as_posix()
        excluded = source.excluded(key)
        if image.parent.name == "normal":
            if not excluded:
                reading.normals.append(image)
            continue
        with problems.gathered():
            of_image = masks[image.with_suffix("")]
            box = None if excluded else _box(image, of_image)
            reading.lesions.append(
                Lesion(
                    lesion_id=f"{source.name}/{image.stem}",
                    patient_id=patients.get(key, ""),
                    database=source.name,
                    modality=source.modality,
                    image=str(image),
                    image_id=key,
                    mask=";".join(map(str, of_image)),
                    **sides(box),
                    pathology=image.parent.name,
                    excluded=excluded,
                )
            )
    problems.refuse()
    return reading


def _list_files(folder: Path) -> tuple[list[Path], dict[Path, list[Path]]]:
    """All images, in order of class and number, and the masks of each by its path without suffix."""
    images: dict[Path, Path] = {}
    masks: dict[Path, list[Path]] = defaultdict(list)
    problems = Problems()
    for label in LABELS:
        paths = list_files(folder / label) if (folder / label).is_dir() else []
        with problems.gathered():
            refuse_other_images(paths, [SUFFIX])
        for path in paths:
            if path.suffix.lower() != SUFFIX:
                continue
            name = _NAME.fullmatch(path.name)
            with problems.gathered():
                if name is None or not path.name.startswith(label):
                    raise InputError(
                        f'{path} is not named as BUSI names its files: call it "{label} (n).png" or '
                        f'"{label} (n)_mask.png", or take it out of the folder'
                    )
                stem = path.with_name(name["stem"])
                if name["mask"]:
                    masks[stem].append(path)
                elif stem in images:
                    raise InputError(f"{path} and {images[stem]} share one name: rename or remove one of them")
                else:
                    images[stem] = path
    problems.refuse()
    return sorted(images.values(), key=lambda path: (path.parent.name, int(re.sub(r"\D", "", path.stem)))), masks


def _read_patients(source: Source, keys: set[str]) -> dict[str, str]:
    path = source.root / PATIENTS
    if not path.is_file():
        return {}
    patients = {image: row["patient_id"] for image, row in read_sidecar(path, ("image", "patient_id")).items()}
    source.refuse_unknown(patients, keys, str(path))
    if missing := sorted(key for key in keys if not patients.get(key)):
        raise InputError(
            f'{path} gives no patient_id for "{missing[0]}"'
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + ": add a row for each image"
        )
    return patients


def _box(image: Path, masks: list[Path]) -> tuple[int, int, int, int]:
    """Box of the united masks of an image."""
    if not masks:
        raise InputError(f"{image} has no mask: add {image.stem}_mask.png, or list it in its source's exclusions")
    expected = [f"{image.stem}_mask{f'_{number}' if number else ''}" for number in range(len(masks))]
    if missing := sorted(set(expected) - {mask.stem for mask in masks}):
        raise InputError(
            f"{image} has {', '.join(mask.name for mask in masks)}, but no {missing[0]}{SUFFIX}: "
            "add it, or list the image in its source's exclusions"
        )
    return masks_box(image, masks)
