"""Contact sheets: the ROIs of a modality at a glance."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from mammosynth.arrays.grid import evenly_spaced, tile
from mammosynth.imageset import CLASSES, ImageSet

COLUMNS = 14
ROWS = 4  # of each class


def plot_contact_sheet(
    images: ImageSet, modality: str, databases: list[str], external: list[str], phantoms: list[str], path: Path
) -> None:
    """Up to 56 ROIs of each class, spread evenly over the set, in a PNG of at most 1200×900 pixels.

    external: databases that are only tested on; phantoms: those that are no clinical data; the title says so of both.
    """
    said = {"external": external, "phantoms, not clinical data": phantoms}
    notes = {name: [note for note, of in said.items() if name in of] for name in [*databases, *external]}
    names = [f"{name} ({', '.join(of_name)})" if of_name else name for name, of_name in notes.items()]
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
