"""What curation did: the way from images to ROIs in counts, who is in each part, and the groups that it found."""

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mammosynth.curation import surroundings
from mammosynth.databases.patients import read_age, says_nothing
from mammosynth.databases.pixels import read_image, read_size
from mammosynth.findings.flow import ALL
from mammosynth.findings.names import NAMES_OF_PARTS
from mammosynth.findings.tables import NONE, number
from mammosynth.imageset import CLASSES
from mammosynth.partition import EXTERNAL, PARTS
from mammosynth.report import figures
from mammosynth.rois import apply_window, find_window

LINE, PADDING, GAP = 0.155, 0.09, 0.32  # of a flow diagram's text, boxes, and the way between boxes; inches
MAIN, SIDE = 3.3, 3.8  # widths of its boxes
TITLE = 68  # characters in a line of its title
COLOURS = {"benign": "#0072B2", "malignant": "#D55E00", "normal": "#777777"}  # Okabe and Ito's
COLUMNS = 6, 14  # thumbnails in a row, of few images and of many
CELL = 1.42  # height of a row, in widths of a thumbnail
THUMBNAIL = 128
MOST = 240  # thumbnails on a sheet
WHOLE = (0.0, 0.0, 1.0, 1.0)  # an image, in shares of its sides


def plot_flow(flow: pd.DataFrame, title: str, fold: int) -> Figure:
    """The flow diagram of `count_flow`, one fold's parts at its end: what was found, what was left out and why."""
    shown = flow[flow["fold"].isna() | (flow["fold"] == fold)]
    steps = {step: rows for step, rows in shown.groupby("step")}
    total = {step: rows.iloc[0] for step, rows in shown[shown["database"] == ALL].groupby("step")}
    databases = steps["images"][1:]
    found = [f"Images found: {total['images']['images']}"]
    found += [f"{name}: {n}" for name, n in zip(databases["database"], databases["images"])]
    without = _by_reason("Without a lesion to read", steps.get("no lesion", flow[:0]), ["images"])
    lesions = [
        f"Lesions: {_lesions(total['lesions'])} in {total['lesions']['images']} images",
        *_by_class(steps["lesions"]),
    ]
    excluded = _by_reason("Lesions excluded", steps.get("excluded", flow[:0]), [*CLASSES])
    kept = [
        f"ROIs: {_lesions(total['ROIs'])} of {total['ROIs']['patients']} patients or groups",
        *_by_class(steps["ROIs"]),
    ]
    alike = [
        f"{what}: {_lesions(total[step])} ROIs, of {total[step]['patients']} patients or groups"
        for step, what in (("joined", "Joined as one lesion"), ("to review", "To be looked at, alike.png"))
        if _lesions(total[step])
    ]
    like_others = ["ROIs that look like those of others", *alike] if alike else None
    parts = [
        [
            f"{NAMES_OF_PARTS[part].capitalize()}: {_lesions(total[part])}",
            *_by_class(steps[part][:1]),
            f"{total[part]['patients']} patients or groups",
        ]
        for part in (*PARTS, EXTERNAL)
        if part in steps
    ]
    rows = [(found, without), (lesions, excluded), (kept, like_others)]
    height = sum(max(_height(main), _height(side or [])) + GAP for main, side in rows) + _height(max(parts, key=len))
    figure, axis = figures.plt.subplots(figsize=(figures.WIDTH, height + 0.75))
    figure.set_layout_engine("none")
    axis.set_position((0, 0, 1, 1))
    axis.set(xlim=(0, figures.WIDTH), ylim=(height + 0.2, -0.55))
    axis.set_axis_off()
    axis.text(0.1, -0.3, textwrap.fill(title, TITLE), fontsize=10.5, fontweight="bold", va="center")
    top, middle = 0.0, 0.1 + MAIN / 2
    for main, side in rows:
        tall = max(_height(main), _height(side or []))
        _box(axis, 0.1, top, MAIN, main)
        if side:
            way = top + _height(main) / 2
            _box(axis, figures.WIDTH - SIDE - 0.1, top, SIDE, side, "#f4f1ea")
            _arrow(axis, (0.1 + MAIN, way), (figures.WIDTH - SIDE - 0.1, way))
        if main is not kept:
            _arrow(axis, (middle, top + _height(main)), (middle, top + tall + GAP))
        bottom = top + _height(main)
        top += tall + GAP
    wide = (figures.WIDTH - 0.1) / len(parts) - 0.1
    start = top - GAP
    for i, part in enumerate(parts):
        left = 0.1 + i * (wide + 0.1)
        _box(axis, left, top, wide, part)
        axis.plot([middle, left + wide / 2], [start + GAP / 2] * 2, color="#555555", linewidth=0.9)
        _arrow(axis, (left + wide / 2, start + GAP / 2), (left + wide / 2, top))
    axis.plot([middle] * 2, [bottom, start + GAP / 2], color="#555555", linewidth=0.9)
    return figure


def _lesions(row: pd.Series) -> int:
    return int(sum(row[pathology] for pathology in CLASSES))


def _by_class(rows: pd.DataFrame) -> list[str]:
    """Lesions of each class, of all and, if there are several, of each database."""
    texts = [", ".join(f"{row[pathology]} {pathology}" for pathology in CLASSES) for _, row in rows.iterrows()]
    databases = [f"{name}: {text}" for name, text in zip(rows["database"][1:], texts[1:])]
    return [texts[0], *(databases if len(databases) > 1 else [])]


def _by_reason(title: str, rows: pd.DataFrame, columns: list[str]) -> list[str]:
    """Counts of all databases; the entries of an exclusion list, each with a reason of its own, are one."""
    rows = rows[rows["database"] == ALL]
    reasons = rows["reason"].str.replace(r"^exclusion list: .*", "on an exclusion list", regex=True)
    counts = rows[columns].sum(axis=1).groupby(reasons).sum().sort_values(ascending=False, kind="stable")
    lines = [textwrap.wrap(f"{reason}: {n}", 64, subsequent_indent="   ") for reason, n in counts.items()]
    return [f"{title}: {counts.sum()}", *(line for wrapped in lines for line in wrapped)]


def _height(lines: list[str]) -> float:
    return len(lines) * LINE + 2 * PADDING if lines else 0.0


def _box(axis: Axes, left: float, top: float, width: float, lines: list[str], colour: str = "#eaf2f8") -> None:
    axis.add_patch(Rectangle((left, top), width, _height(lines), facecolor=colour, edgecolor="#555555", linewidth=0.9))
    for i, line in enumerate(lines):
        y = top + PADDING + (i + 0.5) * LINE
        weight = "bold" if i == 0 else "normal"
        axis.text(left + 0.1, y, line, fontsize=8, va="center_baseline", fontweight=weight)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": "#555555", "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=style)


def characterise(rois: pd.DataFrame, partition: pd.DataFrame, size: int, margin: float) -> pd.DataFrame:
    """The ROIs of each part of a fold and of all: characteristic, level, and a column of text for each.

    rois: the table of all lesions after cropping to *size* pixels with *margin*; partition: the fold's. Counts carry
    their share, numbers are median [quartiles]. What a database does not tell counts as not known, an age that is no
    number of years as not read; a characteristic that none tells is left out. Ready-made ROIs do not tell their
    lesions' size.
    """
    table = rois.merge(partition[["lesion_id", "part"]], on="lesion_id", validate="one_to_one")
    side = np.maximum(table["x1"] - table["x0"], table["y1"] - table["y0"]).astype(float)
    ready_made = (margin > 0) & (side == (table["scale"] * size).round())
    table = table.assign(side=side.where(~ready_made), age=read_ages(table["age"]), age_text=table["age"])
    unread = table["age"].isna() & ~table["age_text"].map(says_nothing)
    parts = (*PARTS, *([EXTERNAL] if EXTERNAL in set(table["part"]) else []))
    groups = {part: table[table["part"] == part] for part in parts} | {ALL: table}

    def each(summary: Callable[[pd.DataFrame], str]) -> dict[str, str]:
        return {name: summary(of) for name, of in groups.items()}

    rows = [
        ("ROIs", "", each(lambda of: str(len(of)))),
        ("patients or groups", "", each(lambda of: str(of["group"].nunique()))),
        ("ROIs of the largest of them", "", each(lambda of: str(of["group"].value_counts().max() if len(of) else 0))),
    ]
    for column in ("pathology", "database", "view", "birads"):
        levels = sorted(table[column].unique(), key=lambda level: (level == "", level))
        if any(levels):
            for level in levels:
                share = each(partial(_share_at, column, level))
                rows.append(("BI-RADS" if column == "birads" else column, level or "not known", share))
    for column, title in (
        ("age", "age, years"),
        ("side", "longer side of the lesion, px"),
        ("scale", "image px per ROI px"),
    ):
        unknown = table[column].isna() & (~unread if column == "age" else True)
        if not unknown.all():
            rows.append((title, "", each(partial(_quartiles_of, column))))
            if unknown.any():
                rows.append((title, "not known", each(partial(_share_of, unknown))))
            if column == "age" and unread.any():
                level = f'not read, such as "{table["age_text"][unread].iloc[0]}"'
                rows.append((title, level, each(partial(_share_of, unread))))
    rows.append(("padded beyond the image", "", each(lambda of: _share(of["padded"] > 0))))
    return pd.DataFrame([{"characteristic": title, "level": level, **cells} for title, level, cells in rows])


def read_ages(ages: pd.Series) -> pd.Series:
    """Years of the ages that databases give in words of their own; NaN where they give none or it is no age."""
    return pd.Series([read_age(age) for age in ages], index=ages.index, dtype=float)


def _share_at(column: str, level: str, table: pd.DataFrame) -> str:
    return _share(table[column] == level)


def _share_of(holds: pd.Series, table: pd.DataFrame) -> str:
    return _share(holds[table.index])


def _quartiles_of(column: str, table: pd.DataFrame) -> str:
    return _quartiles(table[column])


def _share(holds: pd.Series) -> str:
    return f"{holds.sum()} ({100 * holds.mean():.0f} %)" if len(holds) else NONE


def _quartiles(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return NONE
    low, median, high = (number(value) for value in np.quantile(known, [0.25, 0.5, 0.75]))
    return f"{median} [{low}–{high}]"


def find_groups(images: pd.DataFrame) -> list[pd.DataFrame]:
    """The images of each near-duplicate group, in order, each with its *name* and the *place* that is shown: all."""
    named = images.assign(name=images["image"].map(lambda image: Path(image).stem), place=[WHOLE] * len(images))
    grouped = named[named["duplicates"] != ""].groupby("duplicates", sort=False)
    return [members for _, members in sorted(grouped, key=lambda group: int(group[0]))]


def in_conflict(group: pd.DataFrame) -> bool:
    """Whether a near-duplicate group was excluded, as one lesion has different labels."""
    return (group["conflict"] != "").any()


def find_pairs(alike: pd.DataFrame, rois: pd.DataFrame) -> list[pd.DataFrame]:
    """The two ROIs of each pair of `mammosynth.curation.join_alike`, for `plot_groups`: each lesion with its
    surroundings; *note* says how alike they are."""
    of_lesion = rois.set_index("lesion_id")
    pairs = []
    for pair in alike.itertuples():
        members = of_lesion.loc[[pair.first, pair.second]].reset_index().rename(columns={"pathology": "shows"})
        boxes = members[["x0", "y0", "x1", "y1"]].to_numpy(dtype=float)
        places = [surroundings(box, read_size(Path(image))[::-1]) for box, image in zip(boxes, members["image"])]
        pairs.append(
            members.assign(
                name=[lesion.partition("/")[2] for lesion in members["lesion_id"]],
                place=places,
                note=[f"{pair.correlation:.2f}{', joined' if pair.joined else ''}", ""],
            )
        )
    return pairs


def plot_groups(groups: list[pd.DataFrame], modality: str, title: str, none: str, kind: str = "groups") -> Figure:
    """The images of groups side by side, each group on a ground of its own, framed by what they show.

    groups: those of `find_groups` or `find_pairs`, which *kind* says; an image may be in several pairs. Below each
    image stand its name and its database. Shows the first groups, up to MOST images; *none* is what the figure says
    where there is no group.
    """
    shown: list[pd.DataFrame] = []
    for group in groups:
        if sum(map(len, shown)) + len(group) <= MOST:
            shown.append(group)
    columns = int(np.clip(np.sqrt(2 * sum(map(len, shown))), *COLUMNS))
    width = columns + 0.15 * (columns // 2)  # of pairs, the most frequent groups, with the ways between them
    places, row, column = [], 0, 0.0
    for group in shown:
        if column and column + len(group) > width:
            row, column = row + 1, 0.0
        places.append((row, column))
        row += (len(group) - 1) // columns
        column += min(len(group), columns) + 0.15
    inches = 11 / (width + 0.2)
    figure, axis = figures.plt.subplots(figsize=(11, inches * (CELL * (row + 1) if shown else 0) + 0.65), dpi=140)
    figure.set_layout_engine("none")
    axis.set_position((0, 0, 1, 1))
    axis.set(xlim=(-0.1, width + 0.1), ylim=(CELL * (row + 1) if shown else 0, -0.65 / inches))
    axis.set_axis_off()
    some = "" if len(shown) == len(groups) else f"; the first {len(shown)} shown"
    images = len({image for group in groups for image in group["image"]})
    counts = f"{len(groups)} {kind} of {images} images{some}" if groups else none
    axis.text(0, -0.45 / inches, f"{title}: {counts}", fontsize=11, fontweight="bold", va="center")
    for i, (label, colour) in enumerate(COLOURS.items()):
        axis.text(1.1 * i / inches, -0.18 / inches, f"■ {label}", color=colour, fontsize=9, va="center")
    for group, (row, column) in zip(shown, places):
        lines = (len(group) - 1) // columns + 1
        ground = (column - 0.04, row * CELL - 0.04), min(len(group), columns) + 0.06, CELL * lines - 0.06
        axis.add_patch(Rectangle(*ground, facecolor="#e3eaf1", edgecolor="none", zorder=0))
        for i, member in enumerate(group.itertuples()):
            _draw_thumbnail(axis, member, modality, column + i % columns, (row + i // columns) * CELL)
    return figure


def _draw_thumbnail(axis: Axes, member: Any, modality: str, left: float, top: float) -> None:
    pixels = thumbnail(Path(member.image), modality, member.place)
    height, width = (0.94 * side / THUMBNAIL for side in pixels.shape)
    x, y = left + (0.98 - width) / 2, top + (0.98 - height) / 2
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(x, x + width, y + height, y), aspect="auto", zorder=1)
    colour = COLOURS.get(member.shows, "#000000")
    axis.add_patch(Rectangle((x, y), width, height, facecolor="none", edgecolor=colour, linewidth=1.6, zorder=2))
    lines = [member.name[-18:], member.database[-18:], *filter(None, [getattr(member, "note", "")])]
    for i, line in enumerate(lines):
        axis.text(left + 0.49, y + height + 0.02 + 0.11 * i, line, fontsize=5.5, ha="center", va="top")


def thumbnail(path: Path, modality: str, place: tuple[float, float, float, float] = WHOLE) -> np.ndarray:
    """A part of an image, windowed as for ROIs, its longer side THUMBNAIL pixels; uint8.

    place: left, top, right and bottom, in shares of the image's sides.
    """
    image = read_image(path)
    windowed = Image.fromarray(apply_window(image, *find_window(image, modality)).astype(np.uint8))
    left, top, right, bottom = (round(share * side) for share, side in zip(place, windowed.size * 2))
    part = windowed.crop((left, top, right, bottom))
    scale = THUMBNAIL / max(part.size)
    return np.asarray(part.resize([max(1, round(scale * side)) for side in part.size], Image.Resampling.BICUBIC))
