"""Which GPU a job gets: never one that another job holds, never silently the CPU."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mammosynth import gpu
from mammosynth.errors import InputError

ROOT = Path(__file__).parents[1]
CHILD = """
import sys, time
from pathlib import Path
from mammosynth import gpu
held = gpu.lease(1, folder=Path(sys.argv[1]))
import os
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def holder(folder: Path) -> tuple[subprocess.Popen, str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return child, child.stdout.readline().strip()


def test_jobs_get_different_gpus_and_a_killed_job_gives_its_gpu_back(tmp_path):
    (first, a), (second, b) = holder(tmp_path), holder(tmp_path)
    try:
        assert {a, b} == {"3", "5"}
        first.send_signal(signal.SIGKILL)
        first.wait()
        third, c = holder(tmp_path)
        third.kill()
        third.wait()
        assert c == a
    finally:
        for child in (first, second):
            child.kill()
            child.wait()


def test_slurm_has_chosen_already(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert gpu.lease(1, folder=tmp_path) == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"


def test_more_gpus_than_there_are_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"asks for 3 GPUs .* 2 visible"):
        gpu.lease(3, folder=tmp_path)


def test_no_gpu_is_the_cpu_with_a_warning(monkeypatch, caplog):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu.lease(1) == []
    assert "no GPU is visible" in caplog.text
    assert gpu.device() == torch.device("cpu")


def test_a_job_without_gpu_hides_them():
    gpu.lease(0)
    assert gpu.visible() == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPUs of this machine")
def test_a_gpu_that_torch_cannot_use_is_an_error():
    with pytest.raises(InputError, match=r"GPU 3, 5 is visible, but torch .* cannot use it"):
        gpu.device()
