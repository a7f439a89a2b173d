"""Contact sheets: the ROIs of a modality at a glance."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from mammosynth.arrays.grid import evenly_spaced, tile
from mammosynth.imageset import CLASSES, ImageSet

COLUMNS = 14
ROWS = 4  # of each class


def plot_contact_sheet(images: ImageSet, modality: str, databases: list[str], phantoms: list[str], path: Path) -> None:
    """Up to 56 ROIs of each class, spread evenly over the set, in a PNG of at most 1200×900 pixels.

    phantoms: those of *databases* that are no clinical data; the title says so.
    """
    names = [f"{name} (phantoms, not clinical data)" if name in phantoms else name for name in databases]
    sheets = {}
    for pathology in CLASSES:
        of_class = images.of_class(pathology)
        shown = evenly_spaced(len(of_class), COLUMNS * ROWS)
        sheets[f"{pathology} (n = {len(of_class)}; {len(shown)} shown)"] = tile(of_class.images[shown], COLUMNS)
    heights = [len(sheet) for sheet in sheets.values()]
    inches = 11 * sum(heights) / sheets[next(iter(sheets))].shape[1] + 1.1  # and the titles
    figure, axes = plt.subplots(
        len(sheets), 1, figsize=(11, inches), dpi=100, layout="constrained", height_ratios=heights
    )
    figure.suptitle(f"{modality.capitalize()} ROIs: {', '.join(names)}")
    for axis, (title, sheet) in zip(axes, sheets.items()):
        axis.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_axis_off()
    figure.savefig(path)
    plt.close(figure)
