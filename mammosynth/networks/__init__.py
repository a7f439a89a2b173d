"""Frozen networks trained on ImageNet, in whose features images are seen: one small file each.

Measures of quality, the choice of a step, a GAN that is trained against features and a classifier that starts from them
all take a network from here.  Adding one is its file, with one function ``load``, and one entry of ``networks.yaml``.
Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Network:
    """A network that turns images into features.

    title: how measures spell it; dimension: length of its features; weights: where its parameter file is obtained, as
    `mammosynth.parameters.obtain` wants it; names: names of their own that distances of these features have earned, by
    their common ones; module: that it stands in, which has ``load``, from (weights file, device) to a function of
    images uint8 [B, 3, H, W] that returns features float32 [B, dimension].
    """

    title: str
    dimension: int
    weights: Mapping[str, Any]
    module: str
    names: Mapping[str, str] = field(default_factory=dict)

    def measure(self, name: str) -> str:
        """The name of a measure on these features, e.g. "FD (SqueezeNet 1.1)", or "FID" where that is earned."""
        for common, own in self.names.items():
            if common in name:
                return name.replace(common, own)
        return f"{name} ({self.title})"


def _declared() -> dict[str, Network]:
    declared = yaml.safe_load(Path(__file__).with_name("networks.yaml").read_text(encoding="utf-8"))
    return {name: Network(**entry, module=f"{__name__}.{name}") for name, entry in declared.items()}


NETWORKS = _declared()
