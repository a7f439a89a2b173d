"""Ultrasound phantoms in the layout of BUSI.

Layers of tissue and one lesion are laid out as echo strength in decibels, attenuated along the beam, turned to fully
developed speckle, compounded, and log-compressed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d, shift

from mammosynth.databases.phantoms.lesion_model import (
    ANGLES,
    draw_contour,
    draw_patients,
    flip_cues,
    power_law,
    radius_at,
)
from mammosynth.progress import track

CUES = ("contour", "shape", "edge", "spicules", "rim", "attenuation")
FREQUENCY = 10.0  # MHz
IMAGES_A_PATIENT = (0.6, 0.3, 0.1)
NEAR_DUPLICATES = 0.05  # share of the images


@dataclass
class Scan:
    """One image: grey uint8 [H, W] and its lesion's mask bool [H, W]."""

    image: np.ndarray
    mask: np.ndarray


def write(counts: dict[str, int], seed: int, folder: Path) -> list[tuple[str, str]]:
    """Write images and masks; returns image and patient of each.

    Of *counts* about 5 % are near-duplicates of another image, under another patient's id; one malignant image is a
    near-duplicate of a benign one (a label conflict); and one benign image has its lesion in two masks.
    """
    rng = np.random.default_rng([seed, 1])
    scans: dict[str, list[tuple[Scan, str]]] = {"benign": [], "malignant": []}
    patient = 0
    copies = {label: max(1, round(n * NEAR_DUPLICATES)) for label, n in counts.items()}
    for label, n in counts.items():
        originals = n - copies[label] - (label == "malignant")  # that one is the label conflict
        for size in track(draw_patients(originals, IMAGES_A_PATIENT, rng), f"{label} patients"):
            patient += 1
            cues = flip_cues(label == "malignant", CUES, rng)
            scans[label] += [(scan, f"P{patient:03d}") for scan in scan_patient(cues, size, rng)]
    again = {label: list(rng.choice(len(scans[label]), copies[label] + 1, replace=False)) for label in counts}
    copied = [("malignant", scans["benign"][again["benign"].pop()][0])]
    copied += [(label, scans[label][i][0]) for label in counts for i in again[label][: copies[label]]]
    for label, original in copied:
        patient += 1
        scans[label].append((rescan(original, rng), f"P{patient:03d}"))

    rows = []
    for label, found in scans.items():
        place = folder / label
        place.mkdir()
        for number, i in enumerate(rng.permutation(len(found)), start=1):
            scan, patient_id = found[i]
            _save(scan.image, place / f"{label} ({number}).png")
            masks = _halves(scan.mask) if (label, number) == ("benign", 1) else [scan.mask]
            for k, mask in enumerate(masks):
                _save(mask, place / f"{label} ({number})_mask{f'_{k}' if k else ''}.png")
            rows.append((f"{label}/{label} ({number}).png", patient_id))
    return rows


def scan_patient(cues: dict[str, bool], n: int, rng: np.random.Generator) -> list[Scan]:
    """*n* images of one patient's lesion: other slices, with the cues and the machine's settings in common."""
    machine = {
        "pixel": rng.uniform(0.095, 0.12),  # mm
        "lateral": rng.uniform(0.25, 0.38),  # σ of the beam, mm
        "looks": int(rng.integers(2, 6)),
        "dynamic_range": rng.uniform(34, 48),  # dB
        "grey": rng.normal(92, 9),
    }
    lesion = {
        "radius": rng.uniform(3.5, 8),  # mm
        "aspect": rng.uniform(0.85, 1.35) if cues["shape"] else rng.uniform(0.5, 0.8),  # depth / width
        "softness": rng.uniform(0.10, 0.22) if cues["edge"] else rng.uniform(0.02, 0.07),  # of ρ
        "echo": rng.uniform(-18, -9),  # dB, against the gland
        "rim": rng.uniform(2, 6) if cues["rim"] else rng.uniform(1, 4),  # dB
        "alpha": rng.uniform(0.25, 0.7) if cues["attenuation"] else rng.uniform(-0.45, -0.1),  # dB/cm/MHz
    }
    return [_scan(cues, lesion, machine, rng) for _ in range(n)]


def _scan(cues: dict[str, bool], lesion: dict, machine: dict, rng: np.random.Generator) -> Scan:
    pixel = machine["pixel"]
    height, width = (int(mm / pixel) for mm in (rng.uniform(34, 44), rng.uniform(42, 54)))
    radius = lesion["radius"] * rng.uniform(0.9, 1.1)
    across, along = radius / np.sqrt(lesion["aspect"]), radius * np.sqrt(lesion["aspect"])

    depth = np.arange(height, dtype=np.float32)[:, None] * np.float32(pixel)
    side = np.arange(width, dtype=np.float32)[None] * np.float32(pixel)
    x = rng.uniform(0.3, 0.7) * width * pixel
    y = rng.uniform(max(8.0, along * 1.25 + 2.5), max(8.5, min(20.0, height * pixel - along * 1.3 - 2)))

    contour = draw_contour((2, 14), rng.uniform(0.14, 0.24), rng) if cues["contour"] else draw_contour(
        (2, 4), rng.uniform(0.02, 0.07), rng
    )  # fmt: skip
    if cues["spicules"]:
        contour = contour + draw_wedges(int(rng.poisson(12)), rng)
    dx, dy = (side - x) / np.float32(across), (depth - y) / np.float32(along)
    rho = np.sqrt(dx**2 + dy**2) / radius_at(contour, dx, dy)
    inside = 1 / (1 + np.exp(np.clip((rho - 1) / (lesion["softness"] / 2), -30, 30)))

    echo = draw_layers(depth, side, rng)
    gland = np.float32(-12)
    texture = power_law((height, width), 2.2, rng, stretch=2.5)
    echo = echo + 2.2 * texture
    echo += (gland + lesion["echo"] + 1.5 * texture - echo) * inside
    if cues["rim"]:
        echo += lesion["rim"] * np.exp(-(((rho - 1.15) / 0.13) ** 2))  # halo
    else:
        echo += lesion["rim"] * np.exp(-(((rho - 1.02) / 0.045) ** 2))  # capsule
    # attenuation there and back, smeared sideways by the width of the beam
    excess = gaussian_filter1d(np.cumsum(inside, axis=0) * (pixel / 10), 0.7 / pixel, axis=1)
    echo -= 2 * FREQUENCY * np.float32(lesion["alpha"]) * excess

    envelope = draw_speckle(echo, 0.13 / pixel, machine["lateral"] / pixel, machine["looks"], rng)
    image = compress(envelope, machine["dynamic_range"], machine["grey"])
    return Scan(image, rho < 1)


def draw_layers(depth: np.ndarray, side: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Echo strength in dB, float32 [H, W]: skin −6, fat −22, gland −12, behind it −24, with bright fascia between.

    depth [H, 1] and side [1, W] in mm. The borders wave.
    """
    echo = np.full((len(depth), side.shape[1]), -6, dtype=np.float32)
    borders = (1.6, rng.uniform(4.5, 8.5), rng.uniform(26, 33))
    for border, level, wave in zip(borders, (-22, -12, -24), (0.1, 0.7, 1.2)):
        waves = sum(
            rng.normal(0, wave / np.sqrt(k)) * np.sin(2 * np.pi * (k * side / 45 + rng.random())) for k in (1, 2, 3)
        )
        below = depth - border - waves.astype(np.float32)
        echo += (level - echo) / (1 + np.exp(np.clip(-below / 0.12, -30, 30)))
        echo += np.float32(rng.uniform(6, 11)) * np.exp(-((below / 0.3) ** 2))
    return echo


def draw_wedges(n: int, rng: np.random.Generator) -> np.ndarray:
    """What *n* spicules, wedges of 0.25 to 0.6 of the radius, add to a contour: float32 [`ANGLES`]."""
    angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    wedges = np.zeros(ANGLES)
    for angle, length, half_width in zip(
        rng.uniform(0, 2 * np.pi, n), rng.uniform(0.25, 0.6, n), rng.uniform(0.06, 0.16, n)
    ):
        away = np.abs((angles - angle + np.pi) % (2 * np.pi) - np.pi)
        wedges = np.maximum(wedges, length * np.clip(1 - away / half_width, 0, None))
    return wedges.astype(np.float32)


def draw_speckle(echo: np.ndarray, axial: float, lateral: float, looks: int, rng: np.random.Generator) -> np.ndarray:
    """Envelope of fully developed speckle of an echo map in dB, float32 [H, W].

    |√(10^(E/10)) (N + iN)/√2 ∗ Gaussian|, the point spread function's σ in pixels; its mean over its standard
    deviation is 1.91 on a uniform map (Rayleigh). The mean of *looks* independent ones is compounded.
    """
    amplitude = 10 ** (echo / 20)
    envelope = np.zeros_like(amplitude)
    for _ in range(looks):
        real, imaginary = rng.standard_normal((2, *echo.shape), dtype=np.float32)
        parts = [gaussian_filter(amplitude * part, (axial, lateral), truncate=2.5) for part in (real, imaginary)]
        envelope += np.hypot(*parts)
    return envelope / looks


def compress(envelope: np.ndarray, dynamic_range: float, mean: float) -> np.ndarray:
    """Log-compressed image, uint8: *dynamic_range* dB on 256 greys, the gain set to a *mean* grey before clipping."""
    grey = (255 / dynamic_range) * 20 * np.log10(np.maximum(envelope, 1e-6))
    return np.clip(grey - grey.mean() + mean, 0, 255).round().astype(np.uint8)


def rescan(scan: Scan, rng: np.random.Generator) -> Scan:
    """A near-duplicate: the same scan moved by some pixels, with another gain and a little noise."""
    move = rng.integers(-4, 5, 2)
    image = shift(scan.image.astype(np.float32), move, order=1, mode="reflect")
    image = rng.uniform(0.9, 1.1) * image + rng.normal(0, 6) + rng.normal(0, 3, image.shape)
    return Scan(np.clip(image, 0, 255).round().astype(np.uint8), shift(scan.mask, move, order=0))


def _halves(mask: np.ndarray) -> list[np.ndarray]:
    """A mask cut at the middle column of its lesion; the two overlap by a pixel."""
    columns = np.flatnonzero(mask.any(axis=0))
    middle = (columns[0] + columns[-1]) // 2
    left, right = mask.copy(), mask.copy()
    left[:, middle + 1 :] = right[:, :middle] = False
    return [left, right]


def _save(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image).save(path, compress_level=1)


__all__ = ["write"]
