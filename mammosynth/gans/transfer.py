"""Generators' files, and trainings that begin at the networks of another one."""

import csv
from pathlib import Path
from typing import Any

from mammosynth.errors import InputError
from mammosynth.gans.gan import Gan
from mammosynth.weights import read_weights


def read_generator(path: Path) -> dict[str, Any]:
    """The content of a generator's file.  Raises InputError if it is none."""
    content = read_weights(path, "a generator of mammosynth", "delete it and run again")
    needed = {"settings", "fingerprint", "ids", "weights", "critics"}
    if not isinstance(content, dict) or not needed <= content.keys():
        raise InputError(
            f"{path} is not a generator of mammosynth: name one, such as gans/sngan/seed0.pt of a study's split"
        )
    return content


class Origin:
    """The training that another one begins at."""

    def __init__(self, path: Path, partition: Path | None) -> None:
        """path: the generator's file; partition: that of the fold, on whose held-out parts it must not be trained.

        Raises InputError if it is no generator's file or was trained on a held-out ROI, as one of another fold may be.
        """
        self.path, self.content = path, read_generator(path)
        self.ids: list[str] = self.content["ids"]
        self.fingerprint: str = self.content["fingerprint"]
        if partition and (leaked := sorted(set(self.ids) & _held_out(partition))):
            raise InputError(
                f"start_from: {path} was trained on {len(leaked)} ROIs of this fold's validation or test part "
                f"({leaked[0]} is one): start from a training of the same fold, or of other patients"
            )

    def transfer(self, gan: Gan) -> None:
        """Give *gan* its networks.  Raises InputError if they differ, or if nothing of a critic were left to learn."""
        if freeze := gan.settings.freeze_critic:
            blocks = min(len(gan.critic_blocks(critic)) for critic in gan.critics.values())
            if freeze >= blocks:
                raise InputError(
                    f"freeze_critic: {freeze} of the {blocks} blocks of this critic would leave it too little to learn "
                    f"with: freeze {blocks - 1} at most"
                )
        try:
            gan.start_from(self.content["weights"], self.content["critics"])
        except RuntimeError as error:
            was, now = self.content["settings"], gan.settings.flat()
            keys = [key for key in ("method", "width", *gan.settings.own) if key in was]
            unlike = ", ".join(f"{key} {was[key]} and {now[key]}" for key in keys if was[key] != now[key])
            raise InputError(
                f"start_from: the networks in {self.path} are not of the size and kind of this training ({unlike}): "
                f"give both the same {', '.join(keys)}"
            ) from error


def _held_out(partition: Path) -> set[str]:
    with open(partition, encoding="utf-8", newline="") as file:
        return {row["lesion_id"] for row in csv.DictReader(file) if row["part"] != "train"}
