"""Databases that several test files read: small phantoms, made once, the real ones where they are, and small sets."""

import csv
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import openpyxl
import pytest
from PIL import Image

from mammosynth import curation
from mammosynth.databases import open_source, read_database
from mammosynth.databases.phantoms import make_phantoms

COUNTS = {"benign": 16, "malignant": 12}
MODALITY = dict.fromkeys(["breast_lesions_usg", "bus_bra", "busi", "udiat"], "ultrasound")
_folder = tempfile.TemporaryDirectory(prefix="mammosynth-phantoms-")


@cache
def phantoms(reader: str) -> Path:
    """A small database of phantoms in the layout of a reader."""
    root = Path(_folder.name, reader)
    make_phantoms(reader, {**COUNTS, "seed": 0}, root)
    return root


def settings(reader: str, root: Path, **more) -> dict:
    return {"reader": reader, "modality": MODALITY.get(reader, "mammography"), "root": str(root), **more}


@cache
def phantom_lesions(reader: str):
    """The curated lesions of a small database of phantoms."""
    return curation.read_lesions({"phantom": settings(reader, phantoms(reader))})


def real(folder: str) -> Path:
    """Where a real database lies; the test is skipped where it does not."""
    if "MAMMOSYNTH_DATA" not in os.environ:
        pytest.skip(f"MAMMOSYNTH_DATA is not set: no real {folder} to test on")
    path = Path(os.environ["MAMMOSYNTH_DATA"], folder)
    if not path.is_dir():
        pytest.skip(f"{path} is not there: no real {folder} to test on")
    return path


@cache
def real_busi_hashes() -> dict[Path, np.ndarray]:
    """The perceptual hash of every image of real BUSI, normal ones too."""
    reading = read_database(open_source("busi", settings("busi", real("busi"))))
    paths = [Path(lesion.image) for lesion in reading.lesions] + reading.normals
    return dict(zip(paths, curation.hash_images(paths)))


@cache
def real_busi():
    """The curated lesions of real BUSI."""
    hashes = real_busi_hashes()
    with mock.patch.object(curation, "hash_images", lambda paths: np.array([hashes[path] for path in paths])):
        return curation.read_lesions({"busi": settings("busi", real("busi"))})


# Small sets, one a reader: each writes a database in the reader's exact layout into an empty folder, with two lesions
# of either class or more, and returns what the source's settings need beside reader, modality and root.
BOXES = [(10, 20, 40, 50), (5, 6, 35, 46), (30, 8, 70, 30), (2, 3, 33, 57)]
LABELS = ["benign", "malignant", "benign", "malignant"]


def picture(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """A grey image, uint8 [height, width], of blocks; no two seeds are near-duplicates."""
    blocks = np.random.default_rng(seed).integers(30, 220, (-(-height // 10), -(-width // 10)))
    return np.kron(blocks, np.ones((10, 10)))[:height, :width].astype(np.uint8)


def mask_of(*boxes: tuple[int, int, int, int], height: int = 60, width: int = 80) -> np.ndarray:
    """A mask, uint8 [height, width], that is 255 in half-open boxes."""
    mask = np.zeros((height, width), dtype=np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = 255
    return mask


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_csv(rows: list[list], path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def save_excel(rows: list[list], path: Path) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def small_busi(root: Path) -> dict:
    for number, (label, box) in enumerate(zip(LABELS, BOXES), start=1):
        save(picture(number), root / f"{label}/{label} ({number}).png")
        save(mask_of(box), root / f"{label}/{label} ({number})_mask.png")
    save(mask_of((60, 40, 64, 44)), root / "benign/benign (1)_mask_1.png")
    save(picture(9), root / "normal/normal (1).png")
    save(mask_of(), root / "normal/normal (1)_mask.png")
    keys = [path.relative_to(root).as_posix() for path in root.glob("*/*).png")]
    save_csv([["image", "patient_id"], *([key, f"0{n}"] for n, key in enumerate(sorted(keys)))], root / "patients.csv")
    return {}


def small_mini_mias(root: Path) -> dict:
    rows = ["mdb001 G CIRC B 535 425 197", "mdb002 D SPIC M 300 500 60", "mdb003 D NORM", "mdb005 F CIRC B 477 133 30"]
    rows += ["mdb005 F MISC M 500 700 40", "mdb007 G CALC M *NOTE 3*", "mdb008 G MISC M *NOTE 3*"]
    for number in (1, 2, 3, 5, 8):
        save(picture(number, 1024, 1024), root / f"mdb{number:03d}.pgm")
    (root / "Info.txt").write_text("\n".join(["A page of prose.", "", "=====", *rows, "", "=====", "The end.", ""]))
    return {}


def small_rois(root: Path) -> dict:
    for number, label in enumerate(LABELS, start=1):
        save(picture(number, 40, 40), root / label / f"P_{number:02d}_roi.png")
    return {"benign": "benign", "malignant": "malignant", "patient": r"(P_\d+)"}


def small_udiat(root: Path) -> dict:
    rows = [["Image", "Type", "Diagnosis"]]
    for number, (label, box) in enumerate(zip(LABELS, BOXES), start=1):
        save(picture(number), root / f"original/{number:06d}.png")
        save(mask_of(box), root / f"GT/{number:06d}.png")
        rows.append([f"{number:06d}", label.capitalize(), "Cyst"])
    save_excel(rows, root / "DatasetB.xlsx")
    return {}


def small_bus_bra(root: Path) -> dict:
    """Five patients, the first of two images; official folds as the database gives them."""
    head = ["ID", "Case", "Histology", "Pathology", "BIRADS", "Device", "Width", "Height", "Side", "BBOX"]
    rows, folds = [head], [["ID", "Pathology", "kFold", *(f"valid_{n}" for n in range(1, 6))]]
    cases = [(1, "l"), (1, "r"), (2, "s"), (3, "s"), (4, "l"), (5, "r")]
    for seed, (case, side) in enumerate(cases):
        name, label = f"{case:04d}-{side}", "malignant" if case % 2 else "benign"
        x0, y0, x1, y1 = BOXES[seed % 4]
        save(picture(seed), root / f"Images/bus_{name}.png")
        save(mask_of((x0, y0, x1, y1)), root / f"Masks/mask_{name}.png")
        box = f"[{x0 + 1},{y0 + 1},{x1 - x0},{y1 - y0}]"
        view = {"l": "left", "r": "right", "s": "single"}[side]
        rows.append([f"bus_{name}", case, "Fibroadenoma", label, 4, "GE", 80, 60, view, box])
        folds.append([f"bus_{name}", label, case, *("" if case == n else 1 for n in range(1, 6))])
    save_csv(rows, root / "bus_data.csv")
    save_csv(folds, root / "5-fold-cv.csv")
    return {"official_folds": 5}


def small_breast_lesions_usg(root: Path) -> dict:
    """The first case has two masks, the last is normal."""

    def rgba(pixels: np.ndarray) -> np.ndarray:
        return np.dstack([pixels] * 3 + [np.full_like(pixels, 255)])

    rows = [
        ["CaseID", "Image_filename", "Mask_tumor_filename", "Mask_other_filename", "Age", "BIRADS", "Classification"]
    ]
    for number, (label, box) in enumerate(zip([*LABELS, "normal"], [*BOXES, None]), start=1):
        stem = f"case{number:03d}"
        save(rgba(picture(number)), root / f"{stem}.png")
        masks = [f"{stem}_tumor.png"] if box else []
        if box:
            save(rgba(mask_of(box)), root / masks[0])
        if number == 1:
            masks.append(f"{stem}_tumor2.png")
            save(rgba(mask_of((60, 40, 64, 44))), root / masks[1])
            save(rgba(mask_of((0, 0, 80, 3))), root / f"{stem}_other1.png")
        other = f"{stem}_other1.png" if number == 1 else None
        rows.append([number, f"{stem}.png", "&".join(masks) or None, other, 40 + number, "4a", label])
    save_excel(rows, root / "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx")
    return {}


def small_table(root: Path) -> dict:
    """A mask and 8 bits, a box and 16 bits, two lesions in a TIFF, and a normal image."""
    save(picture(1), root / "left/ä (1).png")
    save(mask_of(BOXES[0]), root / "left/ä (1) mask.png")
    save(picture(2).astype(np.uint16) * 16, root / "b.png")
    save(picture(3), root / "c.tif")
    save(mask_of(BOXES[2]), root / "c1.tif")
    save(picture(4), root / "d.pgm")
    rows = [
        ["image", "mask", "x0", "y0", "x1", "y1", "pathology", "patient", "view", "remark"],
        ["left/ä (1).png", "left/ä (1) mask.png", "", "", "", "", "benign", "Łucja", "L", "a, quoted"],
        ["b.png", "", *BOXES[1], "malignant", "007", "R", ""],
        ["c.tif", "c1.tif", "", "", "", "", "benign", "P3", "", ""],
        ["c.tif", "", *BOXES[3], "malignant", "P3", "", ""],
        ["d.pgm", "", "", "", "", "", "normal", "P4", "", ""],
    ]
    save_csv(rows, root / "lesions.csv")
    return {}


def small_cbis_ddsm(root: Path) -> dict:
    from test_cbis_ddsm import write_cbis_ddsm

    write_cbis_ddsm(root)
    return {}


def small_inbreast(root: Path) -> dict:
    from test_inbreast import write_inbreast

    write_inbreast(root)
    return {}


SMALL: dict[str, Callable[[Path], dict]] = {
    "breast_lesions_usg": small_breast_lesions_usg,
    "bus_bra": small_bus_bra,
    "busi": small_busi,
    "cbis_ddsm": small_cbis_ddsm,
    "inbreast": small_inbreast,
    "mini_mias": small_mini_mias,
    "rois": small_rois,
    "table": small_table,
    "udiat": small_udiat,
}
