"""What every job of the workflow does first: log, threads, GPU."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mammosynth import __version__
from mammosynth.errors import CutOff, InputError
from mammosynth.gpu import lease

log = logging.getLogger("mammosynth")

REFUSED = re.compile(f"^[-0-9]+ [:,0-9]+ ERROR {InputError.__name__}: ", re.MULTILINE)


@contextlib.contextmanager
def started(snakemake, threads: int | None = None) -> Iterator[None]:
    """Run a script's work with all output in the job's log, its number of threads, and its own GPU.

    *snakemake* is the object that Snakemake gives a script.  File descriptors are redirected, so that what child
    processes and compiled libraries print is kept too.  An InputError, a MachineError or a CutOff ends the job
    with its name and message alone.

    threads: of numpy and torch, if not the job's, as where the job itself runs as many things side by side.
    """
    file = os.open(str(snakemake.log[0]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s", force=True)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads or snakemake.threads)
    try:
        gpus = snakemake.resources.get("gpu")
        held = lease(int(gpus)) if gpus is not None else None
        log.info("mammosynth %s, rule %s, GPU %s", __version__, snakemake.rule, os.environ.get("CUDA_VISIBLE_DEVICES"))
        yield
        del held
    except (InputError, CutOff) as error:
        log.error("%s: %s", type(error).__name__, error)
        sys.exit(1)


def was_refused(file: str | Path) -> bool:
    """Whether its input ended the job whose log *file* is, and not the machine: another try would end so, too."""
    try:
        return bool(REFUSED.search(Path(file).read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return False
