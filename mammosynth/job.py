"""What every job of the workflow does first: log, threads, GPU."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from mammosynth import __version__
from mammosynth.errors import CutOff, InputError
from mammosynth.gpu import lease

log = logging.getLogger("mammosynth")


@contextlib.contextmanager
def started(snakemake, threads: int | None = None) -> Iterator[None]:
    """Run a script's work with all output in the job's log, its number of threads, and its own GPU.

    *snakemake* is the object that Snakemake gives a script.  File descriptors are redirected, so that what child
    processes and compiled libraries print is kept too.  An InputError, or a CutOff, ends the job with its message
    alone.

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
        log.error("%s", error)
        sys.exit(1)
