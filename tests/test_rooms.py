"""The rooms of the package stand in the order of the data, and none imports a later one."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mammosynth"
# What carries a job or a file, and knows nothing of the study.
GROUND = {
    "__init__", "adam", "checkpoint", "code", "declared", "digests", "downloads", "errors", "files", "fingerprint",
    "gpu", "imageset", "job", "kept", "locks", "parameters", "paths", "progress", "splits", "studyfile", "vision",
    "weights",
}  # fmt: skip
ROOMS = [
    GROUND, {"arrays"}, {"databases"}, {"nuisances"}, {"rois"}, {"curation"}, {"partition"}, {"exchange"}, {"networks"},
    {"gans"}, {"quality"}, {"classifiers"}, {"prediction", "assessment"}, {"study"}, {"findings"}, {"report"},
    {"commands"}, {"__main__"},
]  # fmt: skip


def room(name: str) -> int:
    (place,) = (number for number, names in enumerate(ROOMS) if name in names)
    return place


def imported(path: Path) -> set[str]:
    """The rooms that a file imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    of_package = [name.split(".") for name in names if name.split(".")[0] == PACKAGE.name]
    modules = {child.stem for child in PACKAGE.iterdir()}
    return {parts[1] for parts in of_package if len(parts) > 1 and parts[1] in modules}


def test_every_module_has_a_room():
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found == set.union(*ROOMS)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_imports_a_later_one(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert [name for name in imported(path) if room(name) > room(own)] == []
