"""DiffAugment (Zhao et al. 2020): the critic sees only augmented images, real and synthetic alike, in both updates.

The generator learns through the augmentation, which therefore is differentiable, and the critic cannot learn the few
training images by heart.  Grey images have no saturation.  The strengths are the paper's; each image has draws of its
own, from torch's generator of the CPU, so that a resumed training continues with the same ones.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def brightness(images: Tensor) -> Tensor:
    """Add u ~ U(−½, ½): a quarter of the range of [−1, 1] at most."""
    return images + _uniform(images, -0.5, 0.5)


def contrast(images: Tensor) -> Tensor:
    """Multiply the deviation from an image's mean by u ~ U(½, 3⁄2)."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * _uniform(images, 0.5, 1.5) + mean


def translation(images: Tensor) -> Tensor:
    """Shift by up to an eighth of the side in each direction; what comes in is mirrored at the border.

    The paper fills with zeros, mid-grey here: an edge that no ROI has.
    """
    side = images.shape[-1]
    reach = side // 8
    padded = F.pad(images, [reach] * 4, mode="reflect")
    shift = torch.randint(0, 2 * reach + 1, (2, len(images), 1)).to(images.device, non_blocking=True)
    rows, columns = torch.arange(side, device=images.device) + shift
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[:, 0][batch, rows[:, :, None], columns[:, None, :]][:, None]


def cutout(images: Tensor) -> Tensor:
    """Set a square of half the side, around a point drawn anywhere in the image and on its borders, to 0."""
    side = images.shape[-1]
    half = side // 4
    centre = torch.randint(0, side + 1, (2, len(images), 1)).to(images.device, non_blocking=True)
    offset = torch.arange(side, device=images.device) - centre
    rows, columns = (offset >= -half) & (offset < half)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    return (torch.rand(len(images), 1, 1, 1) * (high - low) + low).to(images.device, non_blocking=True)


def augment(images: Tensor, names: tuple[str, ...]) -> Tensor:
    """Images float [N, 1, H, W] in about [−1, 1] through functions of this module; *names*: those in the schema."""
    for name in names:
        images = globals()[name](images)
    return images
