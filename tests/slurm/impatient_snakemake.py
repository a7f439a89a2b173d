"""Snakemake that asks SLURM for its jobs each second.

Else it waits 10 s longer after each time that it finds none ended; no option says otherwise.
"""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

if __name__ == "__main__":
    Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)
    sys.exit(main())
