"""What can be set of a GAN, where settings come from, and which of them contradict each other.  Imports no torch."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mammosynth.declared import check_value, defaults, find, refuse_key
from mammosynth.errors import InputError
from mammosynth.gans import ELSEWHERE, METHODS, Method

PRESETS = Path(__file__).with_name("presets.yaml")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What several GANs share, and those have that take it (see ``METHODS``); of the others it is switched off."""

    critic_steps: int = 1
    smooth_upsampling: bool = False
    noise: bool = False
    r1: float = 0.0
    lecam: float = 0.0
    freeze_critic: int = 0


@dataclass(frozen=True)
class Settings(Options):
    """Settings of one GAN: those that all GANs have, options, and the GAN's own.

    They are the keys of ``generators`` in the configuration. Its schema describes them, but for a GAN's own, which its
    entry in ``METHODS`` describes. A zero, or nothing, switches off what the key is for.
    """

    method: str
    width: int
    steps: int
    batch: int
    learning_rate: float
    critic_learning_rate: float = 0.0  # 0: the same
    flips: bool = False
    diffaugment: tuple[str, ...] = ()
    ema_half_life: float = 10_000
    evaluate_every: int = 0
    patience: int = 0
    start_from: str = ""
    precision: str = "auto"
    own: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "diffaugment", tuple(self.diffaugment))
        own = defaults(METHODS[self.method].own)
        if unknown := self.own.keys() - own:
            raise TypeError(f"{self.method} has no setting {', '.join(sorted(unknown))}")
        object.__setattr__(self, "own", {**own, **self.own})

    @staticmethod
    def of(given: Mapping[str, Any]) -> "Settings":
        """Settings from one mapping, as configurations and generators' files hold them.

        Raises TypeError if a key is missing or unknown.
        """
        own = {key: value for key, value in given.items() if key not in (*COMMON, *OPTIONS)}
        return Settings(**{key: value for key, value in given.items() if key not in own}, own=own)

    def flat(self) -> dict[str, Any]:
        """All settings that this GAN has, by name: what ``of`` takes."""
        return {key: getattr(self, key) for key in _taken(METHODS[self.method])} | dict(self.own)


OPTIONS = tuple(option.name for option in fields(Options))
COMMON = tuple(setting.name for setting in fields(Settings) if setting.name not in (*OPTIONS, "own"))


@cache
def presets() -> dict[str, dict[str, dict[str, Any]]]:
    """Settings by the name of the preset and by method."""
    return yaml.safe_load(PRESETS.read_text(encoding="utf-8"))


def resolve(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of generator *name*: those of its preset, if it has one, overlaid with those that are *given*.

    Raises InputError naming the key if one is missing, not for this method, or at odds with another.
    """
    where, method = f"config: generators.{name}", given["method"]
    if method in ELSEWHERE:
        return _resolve_elsewhere(name, given)
    settings = defaults(find(where, method, METHODS).own)
    if preset := given.get("preset"):
        if method not in (known := presets().get(preset, {})):
            having = [key for key, of_methods in presets().items() if method in of_methods]
            raise InputError(f"{where}.preset: {method} has no preset {preset}; it has {', '.join(having)}")
        settings |= known[method]
    settings |= {key: value for key, value in given.items() if key != "preset"}
    check(name, settings)
    for needed in fields(Settings):
        if needed.default is needed.default_factory is MISSING and needed.name not in settings:
            raise InputError(f"{where} has no {needed.name}: give it, or a preset")
    _refuse_contradictions(where, Settings.of(settings))
    return settings


def _resolve_elsewhere(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """As `resolve`, of images that were made elsewhere: no default, no preset, and each setting is needed."""
    check(name, given)
    for key, said in ELSEWHERE[given["method"]].own.items():
        if key not in given:
            raise InputError(f"config: generators.{name} has no {key}, which it needs: {said['description']}")
    return dict(given)


def settings_at(settings: Mapping[str, str], modality: str) -> dict[str, str]:
    """The settings of images made elsewhere, ``{modality}`` in them filled in."""
    return {key: value.replace("{modality}", modality) for key, value in settings.items()}


def check(name: str, given: Mapping[str, Any]) -> None:
    """Check that generator *name* is of a known method, and that its keys are that method's.

    Values of a GAN's own settings are checked too; those of all others the schema of the configuration checks.

    Raises InputError naming the key, and what may stand there.
    """
    where, method = f"config: generators.{name}", given["method"]
    methods = METHODS | ELSEWHERE
    entry = find(where, method, methods)
    taken = ["method"] if method in ELSEWHERE else [*_taken(METHODS[method]), "preset"]
    for key, value in given.items():
        off = key in OPTIONS and not value  # as it is
        if key in entry.own:
            check_value(f"{where}.{key}", value, entry.own[key])
        elif key not in taken and not off:
            refuse_key(where, key, method, [*taken, *entry.own], methods)


def _taken(method: Method) -> list[str]:
    """Names of the settings that this GAN has, without its own."""
    return [*COMMON, *(option for option in OPTIONS if option in method.takes)]


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
