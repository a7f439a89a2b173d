"""The workflow as a whole, on a toy study: phantoms, two GANs, a few steps."""

import csv
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from workflow_for_tests import snakemake

from mammosynth.arrays.statistics import youden_threshold
from mammosynth.findings.names import name_of_mix
from mammosynth.imageset import ImageSet

ROOT = Path(__file__).parents[1]
TOY = {
    "sources": {
        "phantom_ultrasound": {"phantoms": {"benign": 22, "malignant": 12}},
        "phantom_mammography": {"phantoms": {"benign": 22, "malignant": 12}},
    },
    "generators": {
        "cyclegan": {"width": 4, "steps": 3, "evaluate_every": 0},
        "projected_gan": {"width": 4, "steps": 4, "batch": 4, "evaluate_every": 2},
    },
    "gans": ["cyclegan", "projected_gan"],
    "mixes": ["real", "projected_gan", "real+cyclegan@balance", "real@2", "projected_gan=34..real+classic"],
    "classifiers": {"resnet18": {"steps": 3, "batch": 8, "evaluate_every": 2}},
    "statistics": {"resamples": 100},
}


def configured(folder: Path, **changes) -> Path:
    path = folder / f"study{len(list(folder.glob('study*')))}.yaml"
    path.write_text(yaml.safe_dump(TOY | changes))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a toy study that ran to its end."""
    folder = tmp_path_factory.mktemp("study")
    run = snakemake(folder, "--configfile", configured(folder))
    assert run.returncode == 0, run.stdout
    assert str(folder / "results/report/report.html") in run.stdout
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_report_is_whole_and_says_that_phantoms_are_not_clinical(finished):
    page = (finished / "results/report/report.html").read_text()
    assert "not clinical" in page
    accuracy = page[page.index("Scores of the classifiers on the test part") :]
    assert all(f'<th scope="row">{name_of_mix(mix)}</th>' in " ".join(accuracy.split()) for mix in TOY["mixes"])
    assert 'src="http' not in page
    assert page.count("data:image/") >= 6
    assert len(page) < 3_500_000, "a phone on a train opens it"


def test_the_papers_tables_are_there_in_each_form_and_their_reported_values_in_no_other(finished):
    tables = finished / "results/tables"
    for name, rows_of_modality in (("quality", 7), ("accuracy", len(TOY["mixes"]))):
        assert len(rows(tables / f"paper_{name}.csv")) == 2 * rows_of_modality
        assert "\\toprule" in (tables / f"paper_{name}.tex").read_text()
        assert not [column for column in rows(tables / f"table_{name}.csv")[0] if "reported" in column]
    page = (tables / "paper_tables.html").read_text()
    assert page.count("<table") == 2
    assert "116.03" in page
    assert (finished / "results/report/report.pdf").read_bytes().startswith(b"%PDF")


def test_drawings_lie_beside_the_page_as_svg_and_pdf(finished):
    report, figures = finished / "results/report", finished / "results/figures"
    links = re.findall(r'href="(\.\./[^"]+)"', (report / "report.html").read_text())
    assert len(links) > 40
    assert [link for link in links if not (report / link).exists()] == []
    drawn = {file.stem for file in figures.glob("*.svg")}
    assert len(drawn) > 15
    assert {file.stem for file in figures.glob("*.pdf")} == drawn


def test_a_second_run_does_nothing(finished):
    run = snakemake(finished, "--configfile", finished / "study0.yaml")
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout


def test_mixes_spelled_otherwise_are_the_same_study(finished):
    mixes = ["real@1", "projected_gan@1.0", "cyclegan@balance+real", "real@2.0", "projected_gan=34..classic+real=66"]
    run = snakemake(finished, "--configfile", configured(finished, mixes=mixes))
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout


def test_one_changed_learning_rate_reruns_one_branch(finished):
    generators = TOY["generators"] | {"projected_gan": TOY["generators"]["projected_gan"] | {"learning_rate": 0.001}}
    study = configured(finished, generators=generators)
    run = snakemake(finished, "--configfile", study, "--dry-run")
    jobs = run.stdout
    assert run.returncode == 0, jobs
    assert "gans/projected_gan/seed0.pt" in jobs
    assert "classifiers/resnet18/projected_gan/seed0.pt" in jobs
    assert "gans/cyclegan" not in "".join(line for line in jobs.splitlines() if "output:" in line)
    assert "classifiers/resnet18/real@2/seed0.pt" not in "".join(
        line for line in jobs.splitlines() if "output:" in line
    )
    assert "rule crop_rois" not in jobs


def test_a_training_can_begin_at_another_of_the_same_study(finished):
    later = {"method": "projected_gan", "preset": "few-images", "width": 4, "steps": 3, "batch": 4, "evaluate_every": 0}
    later["start_from"] = "results/{modality}/fold{fold}/gans/projected_gan/seed{seed}.pt"
    added = configured(
        finished, generators=TOY["generators"] | {"later": later}, gans=["projected_gan", "later"], mixes=["real"]
    )
    target = "results/ultrasound/fold0/gans/later/seed0.pt"
    run = snakemake(finished, target, "--configfile", added)
    assert run.returncode == 0, run.stdout
    assert "rule train_gan" in run.stdout
    log = (finished / "logs/train_gan/ultrasound/fold0/later/seed0.log").read_text()
    assert "start_from='results/{modality}" in log


def test_a_training_that_outlived_its_snakemake_is_not_done_again(finished):
    """Snakemake deletes the outputs of jobs that it did not see end."""
    orphan = {"method": "cgan", "preset": "few-images", "width": 4, "steps": 12, "batch": 4, "evaluate_every": 6}
    study = configured(finished, generators=TOY["generators"] | {"orphan": orphan}, gans=["orphan"], mixes=["real"])
    target, where = "results/ultrasound/fold0/gans/orphan/seed0.pt", "ultrasound/fold0/orphan/seed0"
    log, kept = finished / f"logs/train_gan/{where}.log", finished / "checkpoints/ultrasound/fold0/gans/orphan"
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "-d", finished, "--cores", "2", target]
    command += ["--configfile", study]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        deadline = time.monotonic() + 300
        while not (log.exists() and "rule train_gan" in log.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.kill()
    while not (kept / "seed0.results/key").exists():  # the orphan trains to its end
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert snakemake(finished, "--configfile", study, "--unlock").returncode == 0
    run = snakemake(finished, target, "--configfile", study)
    assert run.returncode == 0, run.stdout
    assert "was finished by an earlier job" in log.read_text()


def test_an_added_mix_makes_no_new_images(finished):
    added = configured(finished, mixes=[*TOY["mixes"], "real+projected_gan@0.5"])
    jobs = snakemake(finished, "--configfile", added, "--dry-run").stdout
    assert "classifiers/resnet18/real+projected_gan@0.5" in jobs
    assert "rule synthesise" not in jobs
    assert "rule train_gan" not in jobs


@pytest.mark.parametrize("modality", ["ultrasound", "mammography"])
def test_no_patient_and_no_image_is_in_two_parts(finished, modality):
    folder = finished / f"results/{modality}/fold0"
    parts = {part: ImageSet.load(folder / f"{part}.npz") for part in ("train", "val", "test")}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not set(parts[one].patients) & set(parts[other].patients)
        assert not {i.tobytes() for i in parts[one].images} & {i.tobytes() for i in parts[other].images}
    used = [row["lesion_id"] for row in rows(finished / f"results/{modality}/rois.csv") if not row["excluded"]]
    assert sorted(used) == sorted(np.concatenate([part.ids for part in parts.values()]))


def test_scores_follow_from_the_predictions(finished):
    predictions = rows(finished / "results/ultrasound/fold0/predictions/resnet18/real/seed0.csv")
    validation = [row for row in predictions if row["part"] == "val"]
    threshold = youden_threshold(
        [int(row["pathology"] == "malignant") for row in validation], [float(row["probability"]) for row in validation]
    )
    malignant = [row for row in predictions if (row["part"], row["pathology"]) == ("test", "malignant")]
    hits = sum(float(row["probability"]) >= threshold for row in malignant)
    [score] = [
        row
        for row in rows(finished / "results/tables/scores.csv")
        if (row["modality"], row["mix"], row["measure"]) == ("ultrasound", "real", "malignant accuracy")
        and row["threshold"] == "Youden"
        and row["database"] in ("", "all")
    ]
    assert float(score["value"]) == pytest.approx(hits / len(malignant))


def test_the_test_part_is_taken_by_the_rule_that_predicts_and_by_no_other_that_fits(finished):
    """Whose script hands it to nothing that fits: see test_additions_of_classifiers."""
    plan = snakemake(finished, "--configfile", finished / "study0.yaml", "--forceall", "--dry-run").stdout
    rule = ""
    readers = {"test.npz": set(), "rois.npz": set()}
    for line in plan.splitlines():
        if line.startswith(("rule ", "localrule ", "checkpoint ")):
            rule = line.split()[1].rstrip(":")
        elif "input:" in line:
            for name in readers:
                if f"/{name}" in line:
                    readers[name].add(rule)
    # count_parts only compares the file with its digest, and plot_classifier shows what was missed
    assert readers == {
        "test.npz": {"train_classifier", "count_parts", "plot_classifier"},
        "rois.npz": {"partition", "plot_contact_sheet"},
    }


def test_a_report_of_snakemake_can_be_made(finished):
    run = snakemake(finished, "--configfile", finished / "study0.yaml", "--report", finished / "snakemake.html")
    assert run.returncode == 0, run.stdout


def test_lint(tmp_path):
    run = snakemake(tmp_path, "--lint")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"databases": ["nowhere"]}, "databases names nowhere"),
        (
            {"classifier": {"steps": 5}},
            "config: classifier is now spelled otherwise: define classifiers by name (classifiers: {resnet18: ",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_is_planned(tmp_path, change, message):
    """By what follows the schema, of which test_study has all, and by what comes before it."""
    run = snakemake(tmp_path, "--configfile", configured(tmp_path, **change), "--dry-run")
    assert run.returncode != 0
    assert message in run.stdout
    assert "Traceback" not in run.stdout


def test_one_bad_database_is_one_clear_error_before_any_training_on_another(tmp_path):
    root = "/nowhere/at/all"
    sources = TOY["sources"] | {"broken": {"reader": "busi", "modality": "ultrasound", "root": root}}
    study = configured(tmp_path, sources=sources, databases=["phantom_mammography", "broken"])
    run = snakemake(tmp_path, "--configfile", study)
    assert run.returncode != 0
    assert f"{root} is no folder: mend sources: broken: root" in run.stdout
    assert "Traceback" not in run.stdout
    assert (tmp_path / "results/mammography/fold0/train.npz").exists()
    assert not (tmp_path / "logs/train_gan").exists()
    assert not (tmp_path / "logs/train_classifier").exists()


def test_the_docs_show_the_rules_as_they_are(tmp_path):
    """If not, write the lines below into it."""
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "-d", tmp_path, "--rulegraph", "mermaid-js"]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", drawn))
    edges = {(names[one], names[other]) for one, other in re.findall(r"(id\d+) --> (id\d+)", drawn)}
    lines = sorted(f"    {one} --> {other}" for one, other in edges if other != "all")
    text = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
    shown = text.partition("```mermaid\nflowchart TB\n")[2].partition("\n```")[0].splitlines()
    assert shown == lines, "\n".join(lines)


def hooks() -> list[str]:
    """What pre-commit runs."""
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert all(hook["language"] == "system" for one in repositories for hook in one["hooks"])
    return [hook["entry"] for one in repositories for hook in one["hooks"]]


@pytest.mark.parametrize("hook", hooks())
def test_style(hook):
    run = subprocess.run([sys.executable, "-m", *hook.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_conda_environment_has_the_same_pins():
    environment = yaml.safe_load((ROOT / "envs/mammosynth.yaml").read_text())
    lines = [line.split("#")[0].strip() for line in (ROOT / "envs/requirements.txt").read_text().splitlines()]
    assert {"pip": [line for line in lines if line]} in environment["dependencies"]


def test_profiles_and_local_rules_name_rules_that_exist():
    rules = set()
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        rules |= set(re.findall(r"^(?:rule|checkpoint) (\w+):", file.read_text(), re.MULTILINE))
    local = re.search(r"^localrules:\n((?:    \w+,\n)+)", (ROOT / "Snakefile").read_text(), re.MULTILINE)[1]
    local = set(local.replace(",", "").split())
    assert local <= rules
    of_report = set(re.findall(r"^rule (\w+):", (ROOT / "workflow/rules/report.smk").read_text(), re.MULTILINE))
    assert of_report <= local, "tables, figures and pages are jobs of seconds"
    for name in ("default", "slurm"):
        profile = yaml.safe_load((ROOT / f"profiles/{name}/profile.yaml").read_text())
        named = {*profile.get("set-resources", {}), *profile.get("set-threads", {})}
        assert named <= rules
    assert {"train_gan", "synthesise", "describe_real", "describe", "train_classifier"} <= named
    assert not named & local


def test_a_broken_image_is_one_clear_error_before_any_training(finished, tmp_path):
    folder = tmp_path / "busi"
    shutil.copytree(finished / "results/phantoms/phantom_ultrasound", folder)
    image = next(folder.rglob("malignant (3).png"))
    image.write_bytes(image.read_bytes()[:2000])
    sources = TOY["sources"] | {"broken": {"reader": "busi", "modality": "ultrasound", "root": str(folder)}}
    study = configured(tmp_path, sources=sources, databases=["broken"])
    run = snakemake(tmp_path, "--configfile", study)
    assert run.returncode != 0
    assert f"{image} cannot be read as an image" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (tmp_path / "logs/train_gan").exists()
