"""Snakemake as a user calls it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def copy_workflow(house: Path) -> None:
    """The workflow and the package, to be changed."""
    house.mkdir()
    for name in ("Snakefile", "config.yaml", "workflow", "resources", "profiles", "envs", "mammosynth"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, house / name)


def snakemake(
    folder: Path, *options: str | Path, study: Mapping | None = None, house: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess:
    """A call in *folder*, all that it says in ``stdout``.

    study: a configuration to be laid over the default one; house: the folder of the Snakefile.
    """
    command = [sys.executable, "-m", "snakemake", "-s", house / "Snakefile", "-d", folder, "--cores", "2", *options]
    if study is not None:
        (folder / "study.yaml").write_text(yaml.safe_dump(study))
        command += ["--configfile", folder / "study.yaml"]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment, check=False
    )
