"""The workflow on a true SLURM: what jobs ask for and get; a study that is disturbed in every way and ends the same."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cluster
import pandas as pd
import pytest
from hollow_workflow import STUDY, changed, hollow
from workflow_for_tests import snakemake

ROOT = Path(__file__).parents[2]
# In the place of a training: notes what it was given, and waits till another runs, too.
NOTING = """
if __name__ == "__main__":
    import json, os, subprocess, time
    from pathlib import Path
    from mammosynth.errors import InputError, MachineError
    from mammosynth.job import started

    with started(snakemake):
        gan, notes = snakemake.wildcards.gan, Path("notes")
        if gan == "refused":
            raise InputError("row 3 is wrong")
        notes.mkdir(exist_ok=True)
        if gan == "unlucky" and not (notes / "tried").exists():
            (notes / "tried").touch()
            raise MachineError("the disk is full")
        job = subprocess.check_output(["scontrol", "show", "job", "-o", os.environ["SLURM_JOB_ID"]], text=True)
        note = {"gpu": os.environ["CUDA_VISIBLE_DEVICES"], "job": job}
        (notes / f"{gan}.json").write_text(json.dumps(note))
        print("noted by", gan, flush=True)
        deadline = time.monotonic() + 600
        while gan != "unlucky" and not all((notes / f"{other}.json").exists() for other in ("one", "other")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for output in snakemake.output:
            Path(output).touch()
"""
METHOD = {"method": "cyclegan", "preset": "few-images", "width": 4, "steps": 3, "evaluate_every": 0}
GANS = ["one", "other", "unlucky", "refused"]
NOTED = changed(
    STUDY, generators=dict.fromkeys(GANS, METHOD), gans=GANS, mixes=["real"], databases=["phantom_ultrasound"]
)


@pytest.fixture(scope="module", autouse=True)
def alone():
    """This machine's SLURM, which one test run at a time has to itself; skips where there can be none."""
    with cluster.alone():
        if reason := cluster.why_not():
            pytest.skip(reason)
        yield


@pytest.fixture
def with_gpus():
    with cluster.running("nvidia_gpu_env", gpus=2):
        yield


@pytest.fixture
def with_gpus_unseen():
    """That SLURM hands out and tells no job of, as torch's build for CPUs would refuse them."""
    with cluster.running("no_gpu_env", gpus=6):
        yield


def command(snakefile: Path, folder: Path, study: dict, *options: str) -> list[str]:
    """A call as on a cluster, with the profile that comes with the workflow."""
    (folder / "study.json").write_text(json.dumps(study), encoding="utf-8")
    call = [sys.executable, Path(__file__).with_name("impatient_snakemake.py"), *options]
    call += ["--workflow-profile", ROOT / "profiles/slurm", "--latency-wait", "5"]
    return [*map(str, call), "-s", str(snakefile), "-d", str(folder), "--configfile", str(folder / "study.json")]


def submitted() -> list[str]:
    """What SLURM knows of each job that was ever submitted to it, a line each."""
    return subprocess.check_output(["scontrol", "show", "jobs", "-o"], text=True).splitlines()


def targets(*gans: str) -> list[str]:
    return [f"results/ultrasound/fold0/gans/{gan}/seed0.pt" for gan in gans]


def notes(folder: Path) -> dict[str, dict[str, str]]:
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in (folder / "notes").glob("*.json")}


def test_jobs_ask_for_what_the_profile_says_and_only_what_may_succeed_is_tried_again(with_gpus, tmp_path):
    snakefile = hollow(tmp_path / "house", {"train_gan"})
    (tmp_path / "house/workflow/scripts/train_gan.py").write_text(NOTING)
    folder = tmp_path / "study"
    folder.mkdir()
    call = command(snakefile, folder, NOTED, *targets(*GANS))
    run = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert run.returncode != 0
    assert "ERROR InputError: row 3 is wrong" in run.stdout, run.stdout  # the log of the job that failed
    assert [target for target in targets(*GANS) if (folder / target).exists()] == targets("one", "other", "unlucky")

    found = notes(folder)
    assert {found[name]["gpu"] for name in ("one", "other")} == {"0", "1"}
    asked = ["Partition=gpu", "TimeLimit=2-00:00:00", "MinMemoryNode=16000M", "CPUs/Task=4", "TresPerJob=gres:gpu:1"]
    assert all(set(asked) <= set(found[name]["job"].split()) for name in ("one", "other")), found
    assert "MinMemoryNode=32000M" in found["unlucky"]["job"]  # at the second attempt
    assert "noted by one" in (folder / "logs/train_gan/ultrasound/fold0/one/seed0.log").read_text()

    jobs = Counter(re.search(r"Comment=rule_(\S*)", line)[1] for line in submitted() if "Comment=" in line)
    print(jobs)
    trainings = {name: times for name, times in jobs.items() if name.startswith("train_gan")}
    assert sorted(trainings.values()) == [1, 1, 1, 2]
    others = {name.partition("_wildcards_")[0] for name in jobs if name not in trainings}
    assert others == {"read_lesions", "crop_rois"}  # what takes seconds runs here


def test_within_an_allocation_each_job_takes_a_gpu_of_its_own(with_gpus, tmp_path):
    snakefile = hollow(tmp_path / "house", {"train_gan"})
    (tmp_path / "house/workflow/scripts/train_gan.py").write_text(NOTING)
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.json").write_text(json.dumps(NOTED), encoding="utf-8")
    call = f"{sys.executable} -m snakemake {' '.join(targets('one', 'other'))} --resources gpu=2 --cores 2"
    call += f" -s {snakefile} -d {folder} --configfile {folder}/study.json"
    allocated = ["sbatch", "--wait", "--gpus=2", "--cpus-per-task=2", "--mem=4000", f"--output={folder}/log", "--wrap"]
    run = subprocess.run([*allocated, call], check=False)
    assert run.returncode == 0, (folder / "log").read_text()
    found = notes(folder)
    assert {note["gpu"] for note in found.values()} == {"0", "1"}
    assert len({re.match(r"JobId=(\d+) ", note["job"])[1] for note in found.values()}) == 1


SMALL = {
    "sources": {"phantom_ultrasound": {"phantoms": {"benign": 22, "malignant": 12}}},
    "databases": ["phantom_ultrasound"],
    "generators": {name: METHOD | {"steps": steps} for name, steps in (("one", 40), ("other", 42))},
    "gans": ["one", "other"],
    "mixes": ["real", "real+one"],
    "classifiers": {"resnet18": {"steps": 9, "batch": 8, "evaluate_every": 3}},
    "statistics": {"resamples": 100},
    "checkpoint_minutes": 0,
}
slow = pytest.mark.skipif("MAMMOSYNTH_TEST_SLOW" not in os.environ, reason="minutes: MAMMOSYNTH_TEST_SLOW=1 runs it")
TABLES = ["results/tables/scores.csv", "results/tables/comparisons.csv"]
TIMES = ["seconds", "images_per_second"]


def until(is_so: Callable[[], object], what: str, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """The folder of the study, run on this machine without SLURM or any disturbance, up to its tables."""
    folder = tmp_path_factory.mktemp("plain")
    run = snakemake(folder, *TABLES, study=SMALL)
    assert run.returncode == 0, run.stdout
    return folder


def same(one: Path, other: Path) -> bool:
    """Whether two tables are equal, but for the times that trainings took."""
    tables = [pd.read_csv(file).drop(columns=TIMES, errors="ignore") for file in (one, other)]
    return tables[0].equals(tables[1])


class Disturbed:
    """A study on the cluster, and what may happen to it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.calls = folder, []

    def start(self, *options: str) -> subprocess.Popen:
        with open(self.folder / f"call{len(self.calls)}.log", "w", encoding="utf-8") as log:
            # one thread, as here: sums of two are others in their last bits
            threads = ["--set-threads", "train_gan=1", "train_classifier=1"]
            call = command(ROOT / "Snakefile", self.folder, SMALL, *options, *threads)
            self.calls.append(
                subprocess.Popen(
                    call, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, preexec_fn=self._listening
                )
            )
        return self.calls[-1]

    @staticmethod
    def _listening() -> None:
        """To Ctrl-C, which a test run in the background ignores, and hands that on."""
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def said(self) -> str:
        return (self.folder / f"call{len(self.calls) - 1}.log").read_text(encoding="utf-8")

    def log(self, rule: str, name: str) -> Path:
        return self.folder / f"logs/{rule}/ultrasound/fold0/{name}/seed0.log"

    def says(self, rule: str, name: str, what: str) -> bool:
        try:
            return what in self.log(rule, name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return False

    def trainer(self, rule: str, name: str) -> int | None:
        """The process that trains: the one whose output is the rule's log."""
        log = str(self.log(rule, name))
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "fd/1") == log:
                    return int(process.name)
            except OSError:
                continue
        return None

    def trains(self, name: str) -> bool:
        """Whether a GAN is being trained and could be resumed."""
        checkpoint = self.folder / f"checkpoints/ultrasound/fold0/gans/{name}/seed0.pt"
        return checkpoint.exists() and self.trainer("train_gan", name) is not None

    def held(self, when: Callable[[str], bool]) -> dict[str, int]:
        """Stops the trainings of both GANs, each as soon as *when* says so of it; their processes."""
        held: dict[str, int] = {}

        def are_held() -> bool:
            for name in {"one", "other"} - set(held):
                if when(name) and (trainer := self.trainer("train_gan", name)):
                    os.kill(trainer, signal.SIGSTOP)
                    held[name] = trainer
            return len(held) == 2

        until(are_held, "two trainings")
        return held

    def queued(self) -> dict[str, str]:
        """Numbers of jobs that wait or run, by what they do."""
        jobs = subprocess.check_output(["squeue", "-h", "-o", "%k %A"], text=True)
        return dict(line.strip().removeprefix("rule_").split() for line in jobs.splitlines())


@pytest.fixture
def study(with_gpus_unseen, tmp_path):
    """That is left by no Snakemake when its test is over, however it is."""
    study = Disturbed(tmp_path / "study")
    yield study
    for call in study.calls:
        call.kill()
        call.wait()


@slow
def test_a_study_that_is_disturbed_ends_as_one_that_is_not(plain, study):
    """kill -9, scancel, SIGKILL of the main Snakemake, Ctrl-C and too little memory, one after the other."""
    # a training is killed, the job of another is cancelled: both are begun again and resume
    first = study.start()
    trainers = study.held(study.trains)
    os.kill(trainers["one"], signal.SIGKILL)
    os.kill(trainers["other"], signal.SIGCONT)
    subprocess.run(["scancel", study.queued()["train_gan_wildcards_ultrasound_fold0_other_0"]], check=True)
    trainers = study.held(lambda name: study.says("train_gan", name, "resumes at step"))

    # the main Snakemake is killed, its jobs are not: what the next call begins waits for them
    first.kill()
    first.wait()
    assert study.start("--unlock").wait() == 0, study.said()
    second = study.start()
    for name in ("one", "other"):
        until(lambda name=name: study.says("train_gan", name, "another process trains"), f"a second training of {name}")
    for trainer in trainers.values():
        os.kill(trainer, signal.SIGCONT)
    for name in ("one", "other"):
        until(lambda name=name: study.says("train_gan", name, "was finished by an earlier job"), f"{name} given back")

    # Ctrl-C: all jobs are cancelled
    until(lambda: study.trainer("train_classifier", "resnet18/real+one"), "the training of a classifier")
    second.send_signal(signal.SIGINT)
    assert second.wait() != 0
    until(lambda: not study.queued(), "the end of all jobs")

    # too little memory: more at each attempt
    assert study.start("--set-resources", "train_classifier:mem_mb=500*attempt").wait() == 0, study.said()
    assert (study.folder / "results/report/report.html").exists()
    assert study.start("--dry-run").wait() == 0
    assert "Nothing to be done" in study.said()
    jobs = submitted()
    starved = [job for job in jobs if "Comment=rule_train_classifier" in job and "MinMemoryNode=500M" in job]
    assert starved
    assert not any("JobState=COMPLETED" in job for job in starved)
    for name in ("one", "other"):
        assert sum(f"Comment=rule_train_gan_wildcards_ultrasound_fold0_{name}_" in job for job in jobs) == 3

    tables = [file.relative_to(plain) for file in (plain / "results").rglob("*.csv")]
    assert len(tables) > 8
    assert [table for table in tables if not same(plain / table, study.folder / table)] == []


@slow
def test_a_training_out_of_time_saves_its_state_and_resumes(plain, study):
    call = study.start(*targets("one"), "--set-resources", "train_gan:runtime=1")
    until(lambda: study.trains("one"), "a training")
    os.kill(study.trainer("train_gan", "one"), signal.SIGSTOP)  # till SLURM ends it
    for what in ("SIGTERM after step", "resumes at step"):
        until(lambda what=what: study.says("train_gan", "one", what), what)
    assert call.wait() == 0, study.said()
    assert sum("JobState=TIMEOUT" in job for job in submitted()) == 1
    history = "results/ultrasound/fold0/gans/one/seed0.csv"
    assert same(plain / history, study.folder / history)
