"""What all tests need: one thread a process, as every job of the workflow has; and the slowest files first."""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"


def pytest_collection_modifyitems(items):
    """Files that call Snakemake take the longest, and a worker that began one last would be waited for."""
    items.sort(key=lambda item: not hasattr(item.module, "snakemake"))
