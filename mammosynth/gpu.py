"""Which device a job uses.

Snakemake counts GPUs (``--resources gpu=2``) but does not say *which* one a job got.  Outside SLURM each job therefore
takes an advisory lock on a free device; the kernel drops the lock when the process ends, however it ends.  Inside a
SLURM job the batch system has chosen already, and ``CUDA_VISIBLE_DEVICES`` is right.
"""

import fcntl
import logging
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mammosynth.errors import InputError

if TYPE_CHECKING:
    import torch

log = logging.getLogger("mammosynth")


def visible() -> list[str]:
    """Ids of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES spells them."""
    if (ids := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [i.strip() for i in ids.split(",") if i.strip() not in ("", "-1", "NoDevFiles")]
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def lease(count: int, poll: float = 0.2, folder: Path | None = None) -> list[IO[str]]:
    """Restrict this process to *count* GPUs that no other job of this user holds; waits for them.

    Returns the locks: keep them for the life of the job.  With ``count`` 0, or no GPU visible, the job runs on the CPU;
    the second is logged as a warning.

    Raises InputError if more GPUs are asked for than are visible.
    """
    ids = visible()
    if not ids:
        log.warning("no GPU is visible: this job runs on the CPU")
        return []
    if count == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return []
    if count > len(ids):
        raise InputError(
            f"resources.gpu asks for {count} GPUs a job, and {len(ids)} visible here ({', '.join(ids)}): "
            "lower it, or make more visible with CUDA_VISIBLE_DEVICES"
        )
    if "SLURM_JOB_ID" in os.environ:
        return []
    folder = folder or Path(tempfile.gettempdir()) / f"mammosynth-gpu-leases-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        held: dict[str, IO[str]] = {}
        for gpu in ids:
            lease = open(folder / gpu.replace("/", "_"), "w", encoding="utf-8")  # noqa: SIM115 (open as long as it is leased)
            try:
                fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lease.close()
                continue
            held[gpu] = lease
            if len(held) == count:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
                return list(held.values())
        for file in held.values():
            file.close()
        time.sleep(poll)


def has_bfloat16(device: "torch.device") -> bool:
    """Whether *device* has instructions for bfloat16, so that autocast saves time."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu.get_capabilities().get("avx512_bf16", False)


def device() -> "torch.device":
    """The device of this job: the leased GPU, or the CPU if none is visible.

    Raises InputError if a GPU is visible that torch cannot use: training on the CPU instead would look like progress
    for days.
    """
    import torch

    if not visible():
        return torch.device("cpu")
    mend = "install a torch build for its driver, or run with --resources gpu=0 to use the CPU"
    if not torch.cuda.is_available():
        raise InputError(f"GPU {', '.join(visible())} is visible, but torch {torch.__version__} cannot use it: {mend}")
    try:
        torch.zeros(1, device="cuda")
    except RuntimeError as error:
        raise InputError(f"torch {torch.__version__} fails on GPU {', '.join(visible())} ({error}): {mend}") from error
    return torch.device("cuda")


def describe(device: "torch.device") -> str:
    """The name of the device, for the report."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.cpu.get_capabilities().get('cpu_name') or platform.machine()})"
