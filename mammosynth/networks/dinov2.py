"""DINOv2's ViT-S/14 (Oquab et al. 2023), learned without labels."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mammosynth.networks.frozen import SIDE
from mammosynth.weights import read_weights


def load(weights: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The class token; images enlarged and scaled as by torch-fidelity.

    torch-fidelity has DINOv2 from the network's hub alone; timm builds the same from a file.
    """
    import mammosynth.vision  # noqa: F401  isort: skip  (before timm and torch_fidelity)
    import timm
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    state = read_weights(weights, "a file of DINOv2's weights", "delete it and run again")
    del state["mask_token"]  # which only its training needs
    state["pos_embed"] = resampled(state["pos_embed"])
    network = timm.create_model("vit_small_patch14_dinov2", img_size=SIDE, num_classes=0)
    network.load_state_dict(state)
    network.eval().to(device)
    mean, deviation = (
        255 * torch.tensor(colours, device=device)[:, None, None]
        for colours in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def extract(images: Tensor) -> Tensor:
        enlarged = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(SIDE, SIDE), align_corners=False)
        return network((enlarged - mean) / deviation)

    return extract


def resampled(embedding: Tensor) -> Tensor:
    """Its 37×37 positions [1, 1 + 37², d] at 16×16, resampled as by its own code: by (16 + 0.1) / 37."""
    kept, grid = embedding[:, :1], embedding[:, 1:]
    side, length = round(grid.shape[1] ** 0.5), SIDE // 14
    grid = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, scale_factor=(length + 0.1) / side, mode="bicubic")
    return torch.cat([kept, grid.flatten(2).transpose(1, 2)], dim=1)
