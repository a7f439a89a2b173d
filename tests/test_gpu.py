"""Which GPU a job gets: never one that another job holds, never silently the CPU."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from workflow_for_tests import snakemake

from mammosynth import gpu
from mammosynth.errors import InputError, MachineError

ROOT = Path(__file__).parents[1]
CHILD = """
import os, time
from mammosynth import gpu
held = gpu.lease(1)
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
time.sleep(60)
"""
TWO = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5a1c)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-77e0)
"""
SPLIT = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5a1c)
  MIG 3g.20gb     Device  0: (UUID: MIG-b1f2)
  MIG 3g.20gb     Device  1: (UUID: MIG-c3d4)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-77e0)
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Two GPUs that are visible, a machine without device files and driver, a place for locks."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    for name in ("dev", "bin", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(gpu, "DEVICES", tmp_path / "dev")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Says what the kernel and the driver show where CUDA_VISIBLE_DEVICES does not choose."""

    def shows(nodes: int, says: str | None, status: int = 0) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        for name in ["nvidiactl", "nvidia-uvm", *(f"nvidia{number}" for number in range(nodes))] if nodes else []:
            (tmp_path / "dev" / name).touch()
        if says is not None:
            smi = tmp_path / "bin/nvidia-smi"
            smi.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{says}\nEND\nexit {status}\n")
            smi.chmod(0o755)

    return shows


@pytest.fixture
def holder():
    """Starts other processes that hold a GPU each; says which."""
    children = []

    def start(**environment: str) -> tuple[subprocess.Popen, str]:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | environment
        )
        children.append(child)
        return child, child.stdout.readline().strip()

    yield start
    for child in children:
        child.kill()
        child.wait()


def leased(count: int = 1) -> tuple[list, str]:
    """The locks of a lease, and what it leaves visible."""
    return gpu.lease(count), os.environ["CUDA_VISIBLE_DEVICES"]


def test_jobs_get_different_gpus_and_a_killed_job_gives_its_gpu_back(holder):
    (first, a), (_, b) = holder(), holder()
    assert {a, b} == {"3", "5"}
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert holder()[1] == a


def test_so_do_jobs_that_share_a_slurm_allocation(holder):
    assert {holder(SLURM_JOB_ID="7")[1], holder(SLURM_JOB_ID="7")[1]} == {"3", "5"}


def test_jobs_that_slurm_runs_each_by_itself_do_not_wait_for_one_another(holder):
    """It numbers the GPUs of each from 0."""
    alone = {"CUDA_VISIBLE_DEVICES": "0"}
    assert [holder(SLURM_JOB_ID=job, **alone)[1] for job in ("7", "8")] == ["0", "0"]


def test_a_gpu_by_number_and_by_uuid_is_one(holder, machine):
    machine(2, TWO)
    assert holder(CUDA_VISIBLE_DEVICES="1")[1] == "1"
    held, which = leased()
    assert which == "GPU-5a1c"
    held.pop().close()
    assert holder(CUDA_VISIBLE_DEVICES="GPU-77,GPU-5a")[1] == "GPU-5a"  # as UUIDs may be abbreviated


def test_instances_of_a_split_gpu_are_leased_like_gpus(machine):
    machine(2, SPLIT)
    assert gpu.visible() == ["MIG-b1f2", "MIG-c3d4", "GPU-77e0"]
    assert leased(2)[1] == "MIG-b1f2,MIG-c3d4"


def test_ids_with_slashes_are_leased(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-5a1c/1/0,MIG-GPU-5a1c/2/0")
    assert leased()[1] == "MIG-GPU-5a1c/1/0"


def test_more_gpus_than_there_are_is_an_error():
    with pytest.raises(InputError, match=r"asks for 3 GPUs .* 2 visible"):
        gpu.lease(3)


def test_no_gpu_is_the_cpu_with_a_warning(monkeypatch, caplog):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu.lease(1) == []
    assert "no GPU is visible" in caplog.text
    assert gpu.device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("says", "status"), [(None, 0), ("NVIDIA-SMI has failed because it couldn't communicate", 9), ("No devices", 6)]
)
def test_a_machine_without_gpus_is_the_cpu(says, status, machine):
    machine(0, says, status)
    assert not gpu.shown()
    assert gpu.lease(0) == gpu.lease(1) == []
    assert gpu.device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("says", "status", "why"),
    [
        (None, 0, "nvidia-smi does not run"),
        ("Failed to initialize NVML: Driver/library version mismatch", 18, "version mismatch"),
        ("", 0, "it says: nothing"),
        (TWO, 9, "exit status 9"),
    ],
)
def test_a_gpu_that_its_driver_cannot_use_is_an_error_and_not_the_cpu(says, status, why, machine):
    machine(2, says, status)
    assert gpu.shown()
    for use in (gpu.visible, gpu.device, lambda: gpu.lease(1)):
        with pytest.raises(MachineError, match=f"dev/nvidia0, .*nvidia1, but .*{why}.*resources gpu=0"):
            use()


def test_so_is_a_driver_that_does_not_answer(machine, tmp_path, monkeypatch):
    machine(1, "")
    (tmp_path / "bin/nvidia-smi").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(gpu, "TIMEOUT", 0.2)
    with pytest.raises(MachineError, match=r"does not run \(.*timed out"):
        gpu.visible()


def test_so_is_one_that_torch_alone_sees(machine, monkeypatch):
    machine(0, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    gpu.lease(0)  # the workflow asks for none where none is shown
    with pytest.raises(MachineError, match="torch sees a GPU that nvidia-smi does not name"):
        gpu.device()


@pytest.mark.parametrize("says", [TWO, "", None])
def test_a_job_that_is_to_have_none_uses_the_cpu_whatever_there_is(says, machine):
    machine(2, says)
    assert gpu.lease(0) == []
    assert gpu.visible() == []
    assert gpu.device() == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPUs of this machine")
def test_a_gpu_that_torch_cannot_use_is_an_error():
    with pytest.raises(MachineError, match=r"GPU 3, 5 is visible, but torch .* cannot use it"):
        gpu.device()


def place(tmp_path: Path) -> Path:
    """Where locks are."""
    return tmp_path / f"tmp/mammosynth-{os.getuid()}"


def test_the_folder_of_locks_is_the_users_alone(tmp_path):
    before = os.umask(0)
    held = gpu.lease(1)
    os.umask(before)
    assert held
    assert place(tmp_path).stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o077 == 0 for file in place(tmp_path).iterdir())


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda folder, other: folder.symlink_to(other, target_is_directory=True), "is a link or a file"),
        (lambda folder, other: folder.symlink_to(other / "nowhere"), "exists|is a link or a file"),
        (lambda folder, other: folder.touch(), "exists|is a link or a file"),
        (lambda folder, other: (folder.mkdir(), folder.chmod(0o770)), "is open to others"),
        (lambda folder, other: (folder.mkdir(0o700), os.chown(folder, 12345, -1)), "belongs to another user"),
    ],
)
def test_one_that_is_not_is_refused(spoil, what, tmp_path):
    (tmp_path / "other").mkdir(mode=0o700)
    try:
        spoil(place(tmp_path), tmp_path / "other")
    except PermissionError:
        pytest.skip("only root gives a folder to another user")
    with pytest.raises(MachineError, match=f"({what}).*TMPDIR"):
        gpu.lease(1)
    assert list((tmp_path / "other").iterdir()) == []


def test_no_link_among_the_locks_is_followed(tmp_path):
    gpu.lease(1)
    precious = tmp_path / "precious"
    precious.write_text("content")
    for file in place(tmp_path).iterdir():
        file.unlink()
        file.symlink_to(precious)
    os.environ["CUDA_VISIBLE_DEVICES"] = "3"
    with pytest.raises(MachineError, match="holds no locks of GPUs"):
        gpu.lease(1)
    assert precious.read_text() == "content"


def test_a_folder_for_temporary_files_that_cannot_be_written_is_told(monkeypatch):
    def refuse():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    with pytest.raises(MachineError, match="No usable temporary directory"):
        gpu.lease(1)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_several_gpus_are_not_shared_by_guess(number, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(MachineError, match=r"without locks .* share 2 GPUs: let TMPDIR"):
        gpu.lease(1)
    assert gpu.lease(2) == []  # all there are
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"


def test_the_workflow_asks_for_a_gpu_where_one_is_shown_and_for_none_on_the_cpu(tmp_path, monkeypatch):
    """Resources are what jobs lease by."""
    monkeypatch.setenv("PATH", os.defpath)
    target = "results/ultrasound/fold0/gans/cgan/seed0.pt"

    def asked(*options: str, **environment: str) -> str:
        plan = snakemake(tmp_path, "--dry-run", target, *options, **environment).stdout
        return next(line for line in plan.split("rule train_gan:")[1].splitlines() if "resources:" in line)

    assert "gpu=1" in asked(CUDA_VISIBLE_DEVICES="0,1")
    assert "gpu=0" in asked("--resources", "gpu=0", CUDA_VISIBLE_DEVICES="0,1")
    assert "gpu=0" in asked(CUDA_VISIBLE_DEVICES="")
