"""What a user adds to the package, and what the package then says."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def add_to(package: Path, files: Mapping[str, str], entries: Mapping[str, str]) -> None:
    """Files of one's own, and what is appended to those that are there; both by their path in the package."""
    for name, content in files.items():
        (package / name).write_text(content, encoding="utf-8")
    for name, entry in entries.items():
        with (package / name).open("a", encoding="utf-8") as text:
            text.write(entry)


def package_with(folder: Path, files: Mapping[str, str], entries: Mapping[str, str]) -> None:
    """A copy of the package in *folder*, with additions."""
    shutil.copytree(ROOT / "mammosynth", folder / "mammosynth", ignore=shutil.ignore_patterns("__pycache__"))
    add_to(folder / "mammosynth", files, entries)


def said_by(code: str, folder: Path, *arguments: str, house: Path | None = None) -> list:
    """What *code* prints in *folder*, a JSON document a line.

    house: a copy of the whole repository with additions, where there is one and *folder* has no package itself. As ROOT
    the code knows where configuration and schema are.
    """
    environment = os.environ | {"PYTHONPATH": str(house or folder)}
    command = [sys.executable, "-P", "-c", f"ROOT = {str(house or ROOT)!r}\n{code}", *arguments]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]
