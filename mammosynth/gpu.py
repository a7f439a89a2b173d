"""Which device a job uses.

Snakemake counts GPUs (``--resources gpu=2``) but does not say *which* one a job got.  Each job therefore takes an
advisory lock on a free one; the kernel drops the lock when the process ends, however it ends.  So it is inside a SLURM
allocation of several GPUs; where each job is a SLURM job of its own, the batch system has chosen, and there is one to
take.
"""

import logging
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mammosynth.errors import InputError, MachineError
from mammosynth.locks import NoLocks, lock, private_folder

if TYPE_CHECKING:
    import torch

log = logging.getLogger("mammosynth")

TIMEOUT = 60  # seconds without an answer after which a driver counts as broken
DEVICES = Path("/dev")
ON_THE_CPU = "run with --resources gpu=0 to use the CPU"


def shown() -> bool:
    """Whether this machine shows a GPU to this process, be it of use or not."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return bool(visible())
    return bool(_nodes() or _asked()[0])


def visible() -> list[str]:
    """Ids of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES spells them; instances of a split one (MIG).

    Raises MachineError if the kernel shows a GPU and its driver does not: a job would run on the CPU, for days, where a
    GPU was meant.
    """
    if (ids := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [i.strip() for i in ids.split(",") if i.strip() not in ("", "-1", "NoDevFiles")]
    gpus, said = _asked()
    if not gpus and (nodes := _nodes()):
        raise MachineError(
            f"this machine has {', '.join(nodes)}, but {said}: mend the driver, name the GPU in CUDA_VISIBLE_DEVICES, "
            f"or {ON_THE_CPU}"
        )
    return [instance for gpu in gpus for instance in gpu]


def hide() -> None:
    """Keep this process, and those that it starts, on the CPU."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _nodes() -> list[str]:
    """The device files of GPUs that NVIDIA's kernel module has made."""
    return sorted(str(node) for node in DEVICES.glob("nvidia*") if re.fullmatch(r"nvidia\d+", node.name))


def _asked() -> tuple[list[list[str]], str]:
    """What ``nvidia-smi`` says: of each GPU its UUID, or its instances' if it is split; its words if there is none.

    UUIDs, as CUDA may number GPUs otherwise than the driver, and takes one instance alone by a GPU's number.
    """
    try:
        run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"nvidia-smi does not run ({error})"
    gpus: list[list[str]] = []
    for kind, uuid in re.findall(r"^\s*(GPU|MIG) .*\(UUID: ([^)]+)\)", run.stdout if run.returncode == 0 else "", re.M):
        if kind == "GPU":
            gpus.append([uuid])
        else:
            gpus[-1] = [instance for instance in gpus[-1] if instance.startswith("MIG-")] + [uuid]
    words = " ".join((run.stdout + run.stderr).split()) or "nothing"
    return gpus, f"nvidia-smi names none (exit status {run.returncode}, it says: {words})"


def _names(ids: list[str]) -> dict[str, str]:
    """A name for the lock of each of *ids*, one for all spellings of a GPU: its UUID, where the driver tells it.

    Of a SLURM job it is the job's own: SLURM numbers the GPUs of each job anew, and gives none to two.
    """
    job = os.environ.get("SLURM_JOB_ID")
    gpus = [] if job else _asked()[0]
    numbered = {str(number): gpu[0] for number, gpu in enumerate(gpus)}
    uuids = [instance for gpu in gpus for instance in gpu]
    full = {i: numbered.get(i, next((uuid for uuid in uuids if uuid.startswith(i)), i)) for i in ids}
    return {i: f"gpu-{f'job{job}-' if job else ''}{name.replace('/', '_')}" for i, name in full.items()}


def lease(count: int, poll: float = 0.2) -> list[IO[str]]:
    """Restrict this process to *count* GPUs that no other job of this user holds; waits for them.

    Returns the locks: keep them for the life of the job.  With ``count`` 0, or no GPU visible, the job runs on the CPU;
    the second is logged as a warning.

    Raises InputError if more GPUs are asked for than are visible, and MachineError if a GPU is there that cannot be
    used, or there is nowhere to lock one of several.
    """
    if count == 0 and shown():
        hide()
        return []
    ids = visible()
    if not ids:
        log.warning("no GPU is visible: this job runs on the CPU")
        return []
    if count > len(ids):
        raise InputError(
            f"resources.gpu asks for {count} GPUs a job, and {len(ids)} visible here ({', '.join(ids)}): "
            "lower it, or make more visible with CUDA_VISIBLE_DEVICES"
        )
    folder, names = private_folder(), _names(ids)
    while True:
        held: dict[str, IO[str]] = {}
        try:
            for gpu in ids:
                if len(held) < count and (file := lock(folder / names[gpu])):
                    held[gpu] = file
        except NoLocks as error:
            if count < len(ids):
                raise MachineError(
                    f"{folder} lies on a file system without locks ({error}), by which jobs share {len(ids)} GPUs: let "
                    "TMPDIR name a folder on a disk of this machine"
                ) from error
            return []
        except OSError as error:
            raise MachineError(f"{folder} holds no locks of GPUs ({error}): let TMPDIR name another folder") from error
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

    Raises MachineError if a GPU is visible that torch cannot use, or the other way round: training on the CPU instead
    would look like progress for days.
    """
    import torch

    if not visible():
        if torch.cuda.is_available():
            raise MachineError(
                "torch sees a GPU that nvidia-smi does not name: name it in CUDA_VISIBLE_DEVICES (0 is the first), or "
                "let that be empty to use the CPU"
            )
        return torch.device("cpu")
    mend = f"install a torch build for its driver, or {ON_THE_CPU}"
    name = f"GPU {', '.join(visible())}"
    if not torch.cuda.is_available():
        raise MachineError(f"{name} is visible, but torch {torch.__version__} cannot use it: {mend}")
    try:
        torch.zeros(1, device="cuda")
    except RuntimeError as error:
        raise MachineError(f"torch {torch.__version__} fails on {name} ({error}): {mend}") from error
    return torch.device("cuda")


def describe(device: "torch.device") -> str:
    """The name of the device, for the report."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.cpu.get_capabilities().get('cpu_name') or platform.machine()})"
