"""Snakemake as a user calls it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


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
