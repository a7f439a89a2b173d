"""Where the Snakefile is, and a call of Snakemake for a study file."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

from mammosynth.errors import InputError

TOLD = ("Using ", "Config file ", "WorkflowError in file ", "  File ")  # where Snakemake is, and not what is wrong
SHARED = "share/mammosynth/Snakefile"  # where pip puts it, below the environment's folder


def snakefile() -> Path:
    """The Snakefile of the checkout that this package lies in, or the one that was installed with it.

    Raises InputError if there is none.
    """
    beside = Path(__file__).parents[2] / "Snakefile"
    if beside.is_file():
        return beside
    try:
        files = importlib.metadata.files("mammosynth") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith(SHARED):
            return Path(str(file.locate())).resolve()
    raise InputError("the workflow (Snakefile) is not beside the package: install mammosynth by pip from its checkout")


def command(study: Path, *options: str) -> list[str]:
    """The call of Snakemake for a study file: results lie beside that file."""
    study = study.resolve()
    places = ["--snakefile", str(snakefile()), "--directory", str(study.parent), "--configfile", str(study)]
    return [*options, *places]


def run(study: Path, *options: str) -> None:
    """Run Snakemake for a study file, without its own output.

    Raises InputError with what it says is wrong.
    """
    call = [sys.executable, "-m", "snakemake", *command(study, *options)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(_fault(done.stdout + done.stderr, study.resolve().parent))


def _fault(output: str, folder: Path) -> str:
    """What went wrong: the errors in the logs of the jobs that failed, or else what Snakemake says."""
    said = []
    for name in dict.fromkeys(re.findall(r"^\s*log: (\S+\.log)", output, re.MULTILINE)):
        log = folder / name
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        said += [line.partition(" ERROR ")[2] for line in lines if " ERROR " in line]
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith(TOLD)]
    return "\n".join(dict.fromkeys(said)) or "\n".join(lines[-12:]) or "Snakemake failed and said nothing"
