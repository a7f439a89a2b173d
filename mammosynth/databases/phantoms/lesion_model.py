"""What both kinds of phantoms are made of: cues, contours, power-law textures, cohorts."""

import numpy as np
from scipy import fft

FLIP = 0.25  # probability that a cue looks like the other class
ANGLES = 256


def flip_cues(malignant: bool, cues: tuple[str, ...], rng: np.random.Generator) -> dict[str, bool]:
    """For each cue, whether it looks malignant: as the class says, or flipped with probability `FLIP`."""
    return {cue: malignant ^ bool(rng.random() < FLIP) for cue in cues}


def draw_contour(orders: tuple[int, int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Relative radius of a lesion at `ANGLES` angles, float32, of mean about 1.

    A Gaussian random sphere in two dimensions: exp(s − σ²/2), s = Σ aₖ (N cos kθ + N sin kθ) over *orders* (first and
    last k) with aₖ ∝ k^−0.8 and variance σ² (L. de Sisternes et al., "A computational model to generate simulated
    three-dimensional breast masses", Med. Phys. 42(2):1098-1118, 2015).
    """
    k = np.arange(orders[0], orders[1] + 1)
    amplitude = k**-0.8
    amplitude *= sigma / np.sqrt((amplitude**2).sum())
    angle = np.outer(k, np.linspace(0, 2 * np.pi, ANGLES, endpoint=False))
    cosine, sine = rng.standard_normal((2, len(k))) * amplitude
    s = cosine @ np.cos(angle) + sine @ np.sin(angle)
    return np.exp(s - sigma**2 / 2).astype(np.float32)


def radius_at(contour: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """The contour's relative radius in the direction of each offset (dx, dy), interpolated between its angles."""
    position = (np.arctan2(dy, dx) * (ANGLES / (2 * np.pi))) % ANGLES
    below = position.astype(np.int32) % ANGLES
    weight = position - np.floor(position)
    return contour[below] * (1 - weight) + contour[(below + 1) % ANGLES] * weight


def power_law(
    shape: tuple[int, int], beta: float, rng: np.random.Generator, stretch: float = 1.0, fine: float = 0.5
) -> np.ndarray:
    """Gaussian texture of power spectrum K / f^β, mean 0 and standard deviation 1, float32 [H, W].

    β about 3 is that of mammograms (A. E. Burgess et al., Med. Phys. 28(4):419-437, 2001). *stretch* lengthens its
    structures sideways; frequencies above *fine* (cycles a pixel) are left out.
    """
    size = [fft.next_fast_len(n, real=True) for n in shape]
    fy = fft.fftfreq(size[0]).astype(np.float32)[:, None]
    fx = fft.rfftfreq(size[1]).astype(np.float32)[None] * np.float32(stretch)
    f2 = fy**2 + fx**2
    f2[0, 0] = np.inf
    gain = f2 ** np.float32(-beta / 4)
    gain[f2 > fine**2] = 0
    noise = rng.standard_normal((2, *gain.shape), dtype=np.float32)
    texture = fft.irfft2((noise[0] + 1j * noise[1]) * gain, s=size)[: shape[0], : shape[1]]
    return ((texture - texture.mean()) / texture.std()).astype(np.float32)


def draw_patients(n: int, shares: tuple[float, ...], rng: np.random.Generator) -> list[int]:
    """Numbers of images, adding up to *n*, of patients of whom a share has one image, two, and so on."""
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(min(int(rng.choice(len(shares), p=shares)) + 1, n - sum(sizes)))
    return sizes
