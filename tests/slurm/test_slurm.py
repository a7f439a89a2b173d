"""The workflow on a true SLURM: what jobs ask for and get, and a study that is disturbed in every way and ends the same."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cluster
import pytest
from hollow_workflow import STUDY, changed, hollow

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
        job = subprocess.run(["scontrol", "show", "job", "-o", os.environ["SLURM_JOB_ID"]], capture_output=True, text=True)
        note = {"gpu": os.environ["CUDA_VISIBLE_DEVICES"], "job": job.stdout}
        (notes / f"{gan}.json").write_text(json.dumps(note))
        print("noted by", gan, flush=True)
        deadline = time.monotonic() + 120
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
    with cluster.running("nvidia_gpu_env"):
        yield


def command(snakefile: Path, folder: Path, study: dict, *options: str) -> list[str]:
    """A call as on a cluster, with the profile that comes with the workflow."""
    (folder / "study.json").write_text(json.dumps(study), encoding="utf-8")
    call = [sys.executable, Path(__file__).with_name("impatient_snakemake.py"), *options, "-s", snakefile, "-d", folder]
    call += ["--workflow-profile", ROOT / "profiles/slurm", "--latency-wait", "5", "--configfile", folder / "study.json"]
    return list(map(str, call))


def submitted() -> list[str]:
    """What SLURM knows of each job that was ever submitted to it, a line each."""
    return subprocess.run(["scontrol", "show", "jobs", "-o"], capture_output=True, text=True, check=True).stdout.split("\n")


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
    for asked in (r"Partition=gpu ", r"TimeLimit=2-00:00:00 ", r"MinMemoryNode=16000M ", r"CPUs/Task=4 ", "TresPerJob=gres:gpu:1 "):
        assert all(re.search(asked, found[name]["job"]) for name in ("one", "other")), found
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
