"""Mammography phantoms in the layout of mini-MIAS.

A film: power-law tissue in half an ellipse of breast with skin and pectoral muscle, masses added to it, film noise.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from mammosynth.databases.mini_mias import INFO, SIDE
from mammosynth.databases.phantoms.lesion_model import (
    draw_contour,
    draw_patients,
    flip_cues,
    power_law,
    radius_at,
)
from mammosynth.progress import track

CUES = ("contour", "profile", "spicules")
FILMS_A_PATIENT = (0.65, 0.35)
SEVERITY = {"benign": "B", "malignant": "M"}
PROSE = """\
                  MAMMOGRAPHY PHANTOMS
       in the layout of the MiniMammographic Database

These films are simulated. They are no clinical data and show nobody.

=================================================================

INFORMATION:

1st column: film; 2nd: tissue (F, G, D); 3rd: class of abnormality; 4th: severity (B, M);
5th, 6th: x, y of its centre, the origin at the bottom-left corner; 7th: radius of a circle around it.

=================================================================

"""


def write(counts: dict[str, int], seed: int, folder: Path) -> list[tuple[str, str]]:
    """Write films and Info.txt; returns film and patient of each.

    *counts* are rows of masses. Some patients have a mass in both breasts; the first benign film shows two masses; one
    benign row gives no coordinates, as mdb059's.
    """
    rng = np.random.default_rng([seed, 2])
    patients = [
        (label, size)
        for label, n in counts.items()
        for size in draw_patients(n - (label == "benign"), FILMS_A_PATIENT, rng)
    ]
    two_masses = rng.integers(sum(label == "benign" for label, _ in patients))
    in_order = [(*patient, i == two_masses) for i, patient in enumerate(patients)]
    rng.shuffle(in_order)
    lines, rows, silent = [], [], True
    for patient, (label, size, double) in enumerate(track(in_order, "patients"), start=1):
        cues = flip_cues(label == "malignant", CUES, rng)
        breast = draw_breast(rng)
        sides = [0, 1] if size == 2 else [int(rng.integers(2))]
        for k, side in enumerate(sides):
            film = f"mdb{2 * patient - 1 + side:03d}"  # odd: right, even: left
            pixels, circles = draw_film(breast, [cues] * (1 + (double and k == 0)), left=bool(side), rng=rng)
            Image.fromarray(pixels).save(folder / f"{film}.pgm")
            rows.append((f"{film}.pgm", str(patient)))
            for kind, x, y, radius in circles:
                place = f"{x} {y} {radius}"
                if silent and label == "benign" and not double:
                    place, silent = "", False
                lines.append(f"{film} {breast['tissue']} {kind} {SEVERITY[label]} {place}\n")
    (folder / INFO).write_text(PROSE + "".join(lines) + "\n" + "=" * 65 + "\n", encoding="utf-8")
    return rows


def draw_breast(rng: np.random.Generator) -> dict:
    """What the two films of a patient share: outline (pixels), tissue and texture."""
    tissue = "FGD"[rng.integers(3)]
    return {
        "tissue": tissue,
        "beta": rng.normal(2.9, 0.2),
        "grey": rng.uniform(65, 95) + {"F": -8, "G": 0, "D": 12}[tissue],
        "contrast": rng.uniform(13, 24),
        "depth": rng.uniform(480, 640),
        "half_height": rng.uniform(400, 490),
    }


def draw_film(
    breast: dict, masses: list[dict[str, bool]], left: bool, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[str, int, int, int]]]:
    """One film, uint8 [1024, 1024], and for each mass its class and circle: x, y from the bottom, radius.

    The chest wall is on the left of a left breast, and on the right of a right one. *masses* holds the cues of each.
    """
    depth, half_height = breast["depth"] * rng.uniform(0.96, 1.04), breast["half_height"]
    width = int(depth) + 1  # beyond it there is only air
    row = np.arange(SIDE, dtype=np.float32)[:, None]
    column = np.arange(width, dtype=np.float32)[None]
    # 0 at the middle of the chest wall, 1 at the skin
    out = np.sqrt((column / np.float32(depth)) ** 2 + ((row - SIDE / 2) / np.float32(half_height)) ** 2)
    inward = np.clip((1 - out) / 0.22, 0, 1)
    skin = np.sqrt(1 - (1 - inward) ** 2)  # thickness of the breast under compression

    grey = breast["grey"] + breast["contrast"] * power_law((SIDE, width), breast["beta"], rng)
    reach, drop = rng.uniform(170, 300), rng.uniform(330, 520)  # the pectoral triangle, along both edges
    corner = np.s_[: int(drop * 1.1), : int(reach * 1.1)]
    beyond = column[:, corner[1]] / np.float32(reach) + row[corner[0]] / np.float32(drop) - 1
    grey[corner] += np.float32(rng.uniform(70, 105)) / (1 + np.exp(np.clip(beyond / 0.02, -30, 30)))

    circles: list[tuple[str, int, int, int]] = []
    for cues in masses:
        radius = rng.uniform(18, 60)
        x, y = _draw_place(depth, half_height, radius, reach, drop, [c[1:] for c in circles], rng)
        kind, extent, patch = draw_mass(cues, radius, rng)
        half = len(patch) // 2
        top, start = y - half, x - half
        window = grey[max(top, 0) : top + 2 * half + 1, max(start, 0) : start + 2 * half + 1]
        window += patch[max(-top, 0) :, max(-start, 0) :][: window.shape[0], : window.shape[1]]
        circles.append((kind, x, y, extent))
    film = np.full((SIDE, SIDE), 3, dtype=np.float32)
    film[:, :width] += grey * skin
    film += 1.6 * np.sqrt(np.maximum(film, 0) / 100) * rng.standard_normal(film.shape, dtype=np.float32)
    pixels = np.clip(film, 0, 255).round().astype(np.uint8)
    if not left:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        circles = [(kind, SIDE - 1 - x, y, extent) for kind, x, y, extent in circles]
    return pixels, [(kind, x, SIDE - y, extent) for kind, x, y, extent in circles]


def draw_mass(cues: dict[str, bool], radius: float, rng: np.random.Generator) -> tuple[str, int, np.ndarray]:
    """A mass of a *radius* in pixels: its class, the radius of its circle, and what it adds to the film (grey levels).

    The body is a designer nodule A (1 − ρ²)^v (Burgess 2001), its outline a random contour; spicules are rays that
    walk outward at random.
    """
    contour = (
        draw_contour((2, 12), rng.uniform(0.14, 0.24), rng)
        if cues["contour"]
        else draw_contour((2, 4), rng.uniform(0.02, 0.07), rng)
    )
    half = int(radius * 2.4) + 4
    offset = np.arange(-half, half + 1, dtype=np.float32)
    dx, dy = offset[None] / np.float32(radius), offset[:, None] / np.float32(radius)
    rho2 = (dx**2 + dy**2) / radius_at(contour, dx, dy) ** 2
    power = rng.uniform(1.3, 2.2) if cues["profile"] else rng.uniform(0.5, 0.9)
    # chosen so that a classifier on HOG features finds the phantoms' ROIs about as hard as real ones
    amplitude = rng.uniform(28, 75)
    patch = amplitude * np.clip(1 - rho2, 0, 1) ** np.float32(power)
    patch *= 1 + 0.12 * power_law(patch.shape, 2.9, rng, fine=0.2)
    if cues["spicules"]:
        patch += draw_spicules(half, radius, amplitude, int(rng.poisson(22)), rng)
    kind = "SPIC" if cues["spicules"] else "MISC" if cues["contour"] else "CIRC"
    return kind, round(radius * float(np.quantile(contour, 0.9)) * rng.uniform(1.0, 1.35)), patch


def draw_spicules(half: int, radius: float, amplitude: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """*n* rays, each 0.5 to 1.6 radii long, that start inside a mass and walk at random; [2 half + 1, 2 half + 1]."""
    patch = np.zeros((2 * half + 1,) * 2, dtype=np.float32)
    for angle, length in zip(rng.uniform(0, 2 * np.pi, n), rng.uniform(0.5, 1.6, n) * radius):
        steps = int(length * 2)  # of half a pixel
        heading = angle + np.cumsum(rng.normal(0, 0.05, steps))
        x = half + 0.5 * radius * np.cos(angle) + 0.5 * np.cumsum(np.cos(heading))
        y = half + 0.5 * radius * np.sin(angle) + 0.5 * np.cumsum(np.sin(heading))
        fade = np.linspace(1, 0.2, steps)
        inside = (x >= 0) & (y >= 0) & (x < 2 * half + 1) & (y < 2 * half + 1)
        np.add.at(patch, (y[inside].astype(int), x[inside].astype(int)), 0.5 * fade[inside])
    return amplitude * rng.uniform(0.2, 0.45) * gaussian_filter(patch, rng.uniform(1.0, 1.7))


def _draw_place(
    depth: float,
    half_height: float,
    radius: float,
    reach: float,
    drop: float,
    taken: list[tuple[int, int, int]],
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Column and row of a mass: in the breast, seldom on the muscle, and apart from the *taken* circles."""
    while True:
        x, y = rng.uniform(0.08, 0.8) * depth, SIDE / 2 + rng.uniform(-0.75, 0.75) * half_height
        out = np.hypot(x / depth, (y - SIDE / 2) / half_height)
        if out + radius / depth > 0.9:
            continue
        if x / reach + y / drop < 1.15 and rng.random() < 0.9:
            continue
        if all(np.hypot(x - a, y - b) > 1.5 * (radius + r) for a, b, r in taken):
            return int(x), int(y)


__all__ = ["write"]
