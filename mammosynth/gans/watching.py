"""A training in TensorBoard, for those who wish to watch it there: the rows of its history and its pictures."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mammosynth.arrays.grid import tile
from mammosynth.files import writing


class Board:
    """TensorBoard's event files of one training, in a folder of their own.

    All that was given is on the disk when a method returns, so that a killed training leaves what its history holds.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """step: the last one done; TensorBoard forgets what an earlier job of this training wrote after it.

        Raises InputError if *folder* cannot be written.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        with writing(folder):
            self._writer = SummaryWriter(folder, purge_step=step + 1 if step else 0)

    def row(self, row: Mapping[str, float | str]) -> None:
        """Write the numbers of a row of the history: ``d_loss`` of class benign as ``d_loss/benign``."""
        with writing(self._folder):
            for key, value in row.items():
                if key not in ("step", "class") and value != "":
                    self._writer.add_scalar(f"{key}/{row['class']}", value, row["step"])
            self._writer.flush()

    def picture(self, step: int, images: Tensor) -> None:
        """Write samples uint8 [2 × n, H, W] as a grid, the benign ones above the malignant ones."""
        with writing(self._folder):
            self._writer.add_image("samples", tile(images.numpy(), len(images) // 2, gap=0), step, dataformats="HW")
            self._writer.flush()
