"""The graph of the workflow's rules, as a figure: asked of Snakemake, drawn with networkx and matplotlib."""

import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
import yaml
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from mammosynth.errors import InputError
from mammosynth.report import figures

HEIGHT, LAYER, GAP = 0.26, 0.56, 0.14  # of a box, from layer to layer, between neighbours; inches


def ask_snakemake(snakefile: str | os.PathLike, config: Mapping[str, Any], folder: str | os.PathLike) -> str:
    """The rule graph of a study in *folder*, in the dot language.

    Raises InputError with what Snakemake said if it cannot tell.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".yaml") as file:
        yaml.safe_dump(dict(config), file)
        file.flush()
        command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--directory", folder]
        command += ["--configfile", file.name, "--workflow-profile", "none", "--nolock", "--ignore-incomplete"]
        command += ["--rulegraph", "dot", "--quiet"]
        run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise InputError(f"snakemake --rulegraph failed: {run.stderr.strip()}")
    return run.stdout


def read_dot(text: str) -> nx.DiGraph:
    """Rules and their order from Snakemake's dot output, without ``all`` and without edges that others imply."""
    names = {int(i): name for i, name in re.findall(r'^\s*(\d+)\s*\[label = "([^"\\]+)', text, re.MULTILINE)}
    if not names:
        raise InputError(
            "snakemake --rulegraph dot named no rule: its output has changed; see mammosynth/report/rulegraph.py"
        )
    graph = nx.DiGraph()
    graph.add_nodes_from(name for name in names.values() if name != "all")
    for above, below in re.findall(r"^\s*(\d+)\s*->\s*(\d+)", text, re.MULTILINE):
        pair = names[int(above)], names[int(below)]
        if pair[0] != pair[1] and "all" not in pair:
            graph.add_edge(*pair)
    return nx.transitive_reduction(graph)


def layer_rules(graph: nx.DiGraph) -> dict[str, int]:
    """Layer of each rule, 0 at the top: as high as what it needs allows, and a rule that needs nothing just above the
    first that needs it.
    """
    layers = {rule: depth for depth, layer in enumerate(nx.topological_generations(graph)) for rule in layer}
    for rule in [r for r in graph if graph.in_degree(r) == 0 and graph.out_degree(r) > 0]:
        layers[rule] = min(layers[after] for after in graph.successors(rule)) - 1
    return layers


def with_bends(graph: nx.DiGraph, layers: dict[str, int]) -> tuple[nx.DiGraph, dict[str, int]]:
    """The same graph with an edge over several layers cut into edges of one, by bends: nodes named by tuples."""
    cut, depth = nx.DiGraph(), dict(layers)
    cut.add_nodes_from(graph)
    for above, below in graph.edges:
        between = [(above, below, layer) for layer in range(layers[above] + 1, layers[below])]
        depth |= {bend: bend[2] for bend in between}
        nx.add_path(cut, [above, *between, below])
    return cut, depth


def place(graph: nx.DiGraph, depth: Mapping[Any, int]) -> dict[Any, float]:
    """Position across, in inches, of each node of a graph whose edges span one layer: no overlaps, few crossings.

    Layers are ordered by the mean position of their neighbours, swept down and up (Sugiyama et al., IEEE Trans. SMC
    11:109, 1981).
    """
    layers = [[node for node in graph if depth[node] == layer] for layer in range(max(depth.values()) + 1)]
    across = {node: 1.6 * (i - (len(layer) - 1) / 2) for layer in layers for i, node in enumerate(layer)}
    for sweep in range(24):
        down = sweep % 2 == 0
        for layer in layers if down else layers[::-1]:
            near = graph.predecessors if down else graph.successors
            wish = {node: np.mean([across[o] for o in near(node)] or [across[node]]) for node in layer}
            layer.sort(key=wish.get)
            # As near to the wishes as the widths allow, and the layer as a whole centred on them.
            at = [wish[layer[0]]]
            for left, node in itertools.pairwise(layer):
                at.append(max(wish[node], at[-1] + (width(left) + width(node)) / 2 + GAP))
            shift = np.mean([wish[node] for node in layer]) - np.mean(at)
            across.update(zip(layer, (position + shift for position in at)))
    return {node: float(x) for node, x in across.items()}


def width(node: Any) -> float:
    """Width of a rule's box, or of the space around a bend, in inches."""
    return 0.075 * len(node) + 0.2 if isinstance(node, str) else 0.05


def draw(graph: nx.DiGraph) -> Figure:
    """One box a rule, in layers from the databases at the top to the report at the bottom."""
    cut, depth = with_bends(graph, layer_rules(graph))
    across = place(cut, depth)
    point = {node: (x, -LAYER * depth[node]) for node, x in across.items()}
    left = min(x - width(node) / 2 for node, x in across.items())
    right = max(x + width(node) / 2 for node, x in across.items())
    bottom = min(y for _, y in point.values())
    figure, axis = figures.plt.subplots(figsize=(right - left + 0.3, -bottom + HEIGHT + 0.6))
    axis.set_position([0, 0, 1, 1])
    figure.set_layout_engine("none")
    for above, below in graph.edges:
        bends = [(above, below, layer) for layer in range(depth[above] + 1, depth[below])]
        x0, y0 = point[above]
        path = [(x0, y0 - HEIGHT / 2)]
        codes = [Path.MOVETO]
        for node in [*bends, below]:
            x, y = point[node]
            # A bend is passed vertically over the height of its layer's boxes, so that a line never runs through one.
            enter = y + HEIGHT / 2
            middle = (path[-1][1] + enter) / 2
            path += [(path[-1][0], middle), (x, middle), (x, enter)]
            codes += [Path.CURVE4] * 3
            if node != below:
                path.append((x, y - HEIGHT / 2))
                codes.append(Path.LINETO)
        axis.add_patch(PathPatch(Path(path, codes), facecolor="none", edgecolor="#8a8a8a", linewidth=0.9))
        axis.plot(path[-1][0], path[-1][1] + 0.035, marker="v", color="#8a8a8a", markersize=4)
    for rule in graph:
        x, y = point[rule]
        corner = (x - width(rule) / 2, y - HEIGHT / 2)
        box = FancyBboxPatch(
            corner, width(rule), HEIGHT, boxstyle="round,pad=0,rounding_size=0.06", facecolor="#eaf2f8",
            edgecolor="#0072B2", zorder=3,
        )  # fmt: skip
        axis.add_patch(box)
        axis.text(x, y, rule.replace("_", " "), ha="center", va="center_baseline", fontsize=8, zorder=4)
    axis.set(xlim=(left - 0.15, right + 0.15), ylim=(bottom - HEIGHT / 2 - 0.15, HEIGHT / 2 + 0.45))
    axis.set_axis_off()
    axis.set_title("Rules of the workflow, from raw databases to the report", y=1, pad=-16, loc="center")
    return figure
