"""What can be set of a GAN, where settings come from, and which of them contradict each other.  Imports no torch."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mammosynth.errors import InputError
from mammosynth.gans import METHODS

PRESETS = Path(__file__).with_name("presets.yaml")
AUGMENTATIONS = ("brightness", "contrast", "translation", "cutout")


@dataclass(frozen=True)
class Settings:
    """Settings of one GAN; the keys of ``generators`` in the configuration, whose schema describes them.

    A zero, or nothing, switches off what the key is for.
    """

    method: str
    width: int
    steps: int
    batch: int
    learning_rate: float
    critic_learning_rate: float = 0.0  # 0: the same
    critic_steps: int = 1
    conditioning: str = "projection"
    smooth_upsampling: bool = False
    noise: bool = False
    flips: bool = False
    diffaugment: tuple[str, ...] = ()
    r1: float = 0.0
    lecam: float = 0.0
    ema_half_life: float = 10_000
    evaluate_every: int = 0
    patience: int = 0
    start_from: str = ""
    freeze_critic: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "diffaugment", tuple(self.diffaugment))


@cache
def presets() -> dict[str, dict[str, dict[str, Any]]]:
    """Settings by the name of the preset and by method."""
    return yaml.safe_load(PRESETS.read_text(encoding="utf-8"))


def resolve(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of generator *name*: those of its preset, if it has one, overlaid with those that are *given*.

    Raises InputError naming the key if one is missing, not for this method, or at odds with another.
    """
    method = given["method"]
    if method not in METHODS:
        raise InputError(f"config: generators.{name}.method: {method} is not one of {', '.join(METHODS)}")
    settings = {key: value for key, value in given.items() if key != "preset"}
    if preset := given.get("preset"):
        if method not in (known := presets().get(preset, {})):
            having = [key for key, of_methods in presets().items() if method in of_methods]
            raise InputError(
                f"config: generators.{name}.preset: {method} has no preset {preset}; it has {', '.join(having)}"
            )
        settings = known[method] | settings
    for field in fields(Settings):
        if field.default is MISSING and field.name not in settings:
            raise InputError(f"config: generators.{name} has no {field.name}: give it, or a preset")
    for key in METHODS[method].refuses:
        if settings.get(key):
            raise InputError(f"config: generators.{name}.{key}: {method} has no use for it; remove it")
    _refuse_contradictions(f"config: generators.{name}", Settings(**settings))
    return settings


def _refuse_contradictions(where: str, settings: Settings) -> None:
    if settings.patience and not settings.evaluate_every:
        raise InputError(f"{where}.patience counts evaluations, and there are none: set evaluate_every, or remove it")
    if settings.evaluate_every > settings.steps:
        raise InputError(
            f"{where}.evaluate_every: {settings.evaluate_every} is more than its {settings.steps} steps: lower it, "
            "or set 0 to keep the last step"
        )
    if settings.freeze_critic and not settings.start_from:
        raise InputError(f"{where}.freeze_critic would freeze random weights: set start_from, or remove it")
