"""What all figures of a study share: a width of about 180 mm, readable in print, in colours that all tell apart."""

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageChops

from mammosynth.classifiers.mixes import parse_mix
from mammosynth.findings.names import REAL_COLOUR, colours_of, name_of

WIDTH = 7.6  # inches
plt.rcParams.update(
    {
        "font.size": 8.5,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "legend.fontsize": 7.5,
        "figure.titlesize": 10.5,
        "figure.titleweight": "bold",
        "figure.constrained_layout.use": True,
        "text.parse_math": False,  # names of people's files, and reasons that they write, may hold a $
        "figure.dpi": 110,
        "savefig.dpi": 150,
        "svg.hashsalt": "mammosynth",
    }
)
CONTROL_COLOUR = "#777777"  # of mixes without a GAN
MIX_DASHES = {
    True: ("-", ":", "-.", (0, (5, 1, 1, 1, 1, 1))),
    False: ("--", (0, (1, 2)), (0, (6, 2, 1, 2))),
}  # by whether a mix holds real images


def save(figure: Figure, *paths: str | Path) -> None:
    """Write a figure as SVG, PDF or PNG, by the names of *paths*.

    The same figure gives the same bytes, and a grey PNG has no more than grey values.
    """
    for path in map(Path, paths):
        if path.suffix == ".png":
            _save_pixels(figure, path)
        else:
            dated = {".svg": "Date", ".pdf": "CreationDate"}[path.suffix]
            figure.savefig(path, metadata={dated: None}, facecolor="white")
    plt.close(figure)


def _save_pixels(figure: Figure, path: Path) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", facecolor="white")
    image = Image.open(drawn).convert("RGB")
    grey = image.convert("L")
    coloured = ImageChops.difference(grey.convert("RGB"), image).getbbox()
    (image if coloured else grey).save(path, optimize=True)


def show_images(axis: Axes, sheet: np.ndarray) -> None:
    """Show a grid of images, uint8 [H, W], and nothing around it."""
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    axis.set(xticks=[], yticks=[])
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.set_frame_on(False)


def mix_groups(mixes: Iterable[str]) -> dict[str, list[str]]:
    """Mixes by panel: those without a GAN as ``controls``, then those of each GAN beside ``real``."""
    mixes = list(mixes)
    groups = {"controls": [m for m in mixes if not parse_mix(m).gans]}
    for mix in mixes:
        for gan in parse_mix(mix).gans:
            groups.setdefault(gan, [m for m in ("real",) if m in mixes]).append(mix)
    return {name: group for name, group in groups.items() if group}


def line_of(mix: str, group: list[str], colour: str) -> dict:
    """Colour and dash of a mix within its panel; ``real`` looks the same in all panels."""
    if mix == "real":
        return {"color": REAL_COLOUR, "linestyle": "-", "linewidth": 1.6}
    alike = [m for m in group if m != "real" and parse_mix(m).holds_real == parse_mix(mix).holds_real]
    dashes = MIX_DASHES[parse_mix(mix).holds_real]
    return {"color": colour, "linestyle": dashes[alike.index(mix) % len(dashes)], "linewidth": 1.6}


def panel_colours(groups: Mapping[str, list[str]]) -> dict[str, str]:
    return colours_of([name for name in groups if name != "controls"]) | {"controls": CONTROL_COLOUR}


def panels(count: int, columns: int, height: float) -> tuple[Figure, np.ndarray]:
    """A figure with *count* axes in rows of *columns*, and no empty ones."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH * 1.05, height * rows + 0.5), squeeze=False)
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, axes.flat[:count]


def panels_of_mixes(groups: Mapping[str, list[str]], height: float) -> tuple[Figure, list[Axes], Callable[[], None]]:
    """A figure with a panel a group of `mix_groups`, by its name, and what writes below each the names of its lines."""
    columns = min(3, len(groups))
    rows, names = -(-len(groups) // columns), 0.16 * max(map(len, groups.values())) + 0.1
    width = WIDTH * 1.05 * max(columns, 2) / 3
    figure = plt.figure(figsize=(width, (height + names) * rows + 0.6))
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[height, names] * rows)
    places = [divmod(number, columns) for number in range(len(groups))]
    axes, below = ([figure.add_subplot(grid[2 * row + k, column]) for row, column in places] for k in (0, 1))
    for axis, name in zip(axes, groups):
        axis.set_title(name_of(name))

    def name_lines() -> None:
        for axis, place in zip(axes, below):
            place.set_axis_off()
            legend = place.legend(
                *axis.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(-0.12, 1), borderaxespad=0,
                fontsize=6, handlelength=2.6,
            )  # fmt: skip
            legend.set_in_layout(False)  # long names reach over their panel, and must not shrink it

    return figure, axes, name_lines
