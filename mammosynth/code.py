"""Digests of code, so that results follow it: what an update of the package computes otherwise is computed anew.

A digest covers a file and all modules of this package that it imports, directly or through others, wherever in them the
import stands, and the templates beside these. It is blind to what changes no result: comments, docstrings, formatting,
the words of errors and of log lines, the modules of HOUSEKEEPING and LISTS.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parent
TEMPLATES = {".jinja", ".json", ".typ"}
# What carries a job and not what it computes: how it is started, shown, locked, written and resumed.
HOUSEKEEPING = {
    "__init__.py", "checkpoint.py", "code.py", "digests.py", "errors.py", "files.py", "fingerprint.py",
    "gans/watching.py", "gpu.py", "job.py", "kept.py", "locks.py", "progress.py",
}  # fmt: skip
# Lists of readers, GANs, networks, measures and classifiers.
# One more leaves the others as they are: who needs one names its file.
LISTS = {
    "classifiers/__init__.py", "databases/readers.py", "gans/__init__.py", "networks/__init__.py",
    "quality/measures.py",
}  # fmt: skip


@functools.cache
def digest(*starts: str | Path) -> str:
    """The digest, 16 hexadecimal digits, of files and of all code of this package that they need."""
    found: set[Path] = set()
    waiting = [Path(start).resolve() for start in starts]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path)
    templates = {other for path in found if path.is_relative_to(PACKAGE) for other in path.parent.iterdir()}
    templates = {path for path in templates if path.suffix in TEMPLATES}
    sums = [_sum(path) for path in sorted(found)]
    sums += [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(templates)]
    return hashlib.sha256("".join(sums).encode()).hexdigest()[:16]


def module(name: str) -> Path:
    """The file of a module of this package, such as ``mammosynth.gans.sngan``."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _imported(path: Path) -> list[Path]:
    """The files of this package that a file imports, packages that they lie in included."""
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    skipped = HOUSEKEEPING if path.parent.name in ("findings", "report") else HOUSEKEEPING | LISTS
    return sorted(file for file in set(_files(names)) if file.relative_to(PACKAGE).as_posix() not in skipped)


def _files(names: Iterable[str]) -> Iterable[Path]:
    for name in names:
        parts = name.split(".")
        for length in range(2, len(parts) + 1) if parts[0] == PACKAGE.name else ():
            path = module(".".join(parts[:length]))
            if path.is_file():
                yield path


@functools.cache
def _sum(path: Path) -> str:
    bare = ast.dump(_Bare().visit(_tree(path)))  # in place, which leaves the imports that `_imported` reads
    return hashlib.sha256(bare.encode()).hexdigest()


class _Bare(ast.NodeTransformer):
    """Takes from a tree what changes no result."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return ast.Pass()  # a docstring
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func).startswith("log."):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=kind, cause=None)
