"""A SLURM of one node on this machine's loopback interface, from Debian's packages, with GPUs that are none."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mammosynth.locks import lock, private_folder

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]
PROGRAMS = ["slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scontrol", "scancel"]
# There alone: Snakemake's executor takes SLURM_CONF out of the environment of what it starts.
CONFIGURATION = Path("/etc/slurm")
OURS = "# written by the tests of mammosynth"
# No cgroups, no accounting, no delays; cores, memory and GPUs are handed out, whether the machine has them or not, and
# who uses more memory than it asked for is killed within a second.
SLURM_CONF = """{ours}
ClusterName=tests
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MinJobAge=3600
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,NoShared
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
KillWait=5
InactiveLimit=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={node} NodeAddr=127.0.0.1 CPUs=64 RealMemory=400000 Gres=gpu:fake:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={node} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={node} MaxTime=INFINITE State=UP
"""
GRES_CONF = "{ours}\nNodeName={node} Name=gpu Type=fake File={folder}/gpu[0-{last}] Flags={flags}\n"


def why_not() -> str | None:
    """Why there can be no such SLURM here, if so; installs Debian's packages if MAMMOSYNTH_TEST_SLURM says install."""
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "Snakemake's executor for SLURM is not installed: pip install -r envs/requirements-slurm.txt"
    if os.getuid() != 0:
        return "starting SLURM's daemons needs root"
    if (conf := CONFIGURATION / "slurm.conf").exists() and not conf.read_text(encoding="utf-8").startswith(OURS):
        return f"{conf} is that of a SLURM in use"
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        if os.environ.get("MAMMOSYNTH_TEST_SLURM") != "install":
            return f"{missing[0]} is missing: MAMMOSYNTH_TEST_SLURM=install lets the tests install {' '.join(PACKAGES)}"
        if not shutil.which("apt-get"):
            return "there is no apt-get to install SLURM with"
        quietly = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            run = subprocess.run(["apt-get", "-qq", *command], env=quietly, capture_output=True, text=True, check=False)
            if run.returncode != 0:
                return f"apt-get {command[0]} fails: {' '.join((run.stdout + run.stderr).split())[-300:]}"
    return None


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keeps other test runs of this machine away from /etc/slurm; waits for them."""
    held = lock(private_folder() / "slurm-of-tests", wait=True)
    yield
    if held:
        held.close()


@contextlib.contextmanager
def running(flags: str, gpus: int) -> Iterator[None]:
    """A cluster as long as the block runs, with no job in it, and stopped with all its jobs in the end.

    flags: of its *gpus* GPUs: nvidia_gpu_env lets SLURM set CUDA_VISIBLE_DEVICES, no_gpu_env does not.
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    controller, daemon = (one.getsockname()[1] for one in sockets)
    for one in sockets:
        one.close()
    given = {"ours": OURS, "node": socket.gethostname().partition(".")[0], "folder": folder, "flags": flags}
    given |= {"gpus": gpus, "last": gpus - 1, "controller": controller, "daemon": daemon}
    CONFIGURATION.mkdir(exist_ok=True)
    (CONFIGURATION / "slurm.conf").write_text(SLURM_CONF.format(**given), encoding="utf-8")
    (CONFIGURATION / "gres.conf").write_text(GRES_CONF.format(**given), encoding="utf-8")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for number in range(gpus):  # /dev/null's number: SLURM wants devices
        os.mknod(folder / f"gpu{number}", 0o20666, os.makedev(1, 3))
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    munge = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munged.pid"}
    munge |= {"log-file": folder / "munged.log", "seed-file": folder / "munged.seed"}
    try:
        _start(["munged", "--force", *(f"--{name}={value}" for name, value in munge.items())], folder)
        _start(["slurmctld"], folder)
        _until(["sh", "-c", "scontrol ping | grep -q UP"], folder)
        _start(["slurmd"], folder)
        _until(["sh", "-c", "sinfo -h -o %T | grep -q idle"], folder)
        yield
    finally:
        if jobs := subprocess.run(["squeue", "-h", "-o", "%A"], capture_output=True, text=True, check=False).stdout:
            for kill in (["--signal=KILL", "--full"], []):
                subprocess.run(["scancel", *kill, *jobs.split()], stderr=subprocess.DEVNULL, check=False)
            _until(["sh", "-c", '[ -z "$(squeue -h)" ]'], folder)
        for name in ("slurmd", "slurmctld", "munged"):
            _stop(folder / f"{name}.pid")
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink()
        shutil.rmtree(folder)


def _start(command: list[str], folder: Path) -> None:
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 0, run.stderr + _logs(folder)


def _until(command: list[str], folder: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while subprocess.run(command, capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < deadline, f"{' '.join(command)} fails\n{_logs(folder)}"
        time.sleep(0.1)


def _logs(folder: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8")[-2000:] for log in folder.glob("*.log"))


def _stop(file: Path) -> None:
    """End a daemon that wrote its number into a file."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        number = int(file.read_text(encoding="utf-8"))
        os.kill(number, signal.SIGTERM)
        for _ in range(100):
            os.kill(number, 0)
            time.sleep(0.1)
        os.kill(number, signal.SIGKILL)
