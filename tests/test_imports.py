"""Jobs begin quickly: what takes long to import is imported by those jobs alone that need it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gans_for_tests import image_set, random_lite0
from quality_for_tests import parameter_file

ROOT = Path(__file__).parents[1]
WITH_TORCH = {
    "describe", "describe_real", "find_leaks", "predict_external", "synthesise", "train_classifier", "train_gan",
    "write_scorecards",
}  # fmt: skip
SLOW = {"torch", "torchvision", "scipy.stats", "sklearn", "statsmodels", "sympy"}
TRAINING = """
from pathlib import Path
from mammosynth.gans.settings import Settings
from mammosynth.gans.training import train
from mammosynth.imageset import ImageSet

images = ImageSet.load("images.npz")
names = {name: Path(name) for name in ("generator", "history", "progress", "checkpoint")}
settings = Settings("projected_gan", width=4, steps=1, batch=2, learning_rate=2e-4, evaluate_every=1)
train(images, settings, 0, **names, validation=images, extractor="squeezenet", parameters=PARAMETERS)
"""


def imported_by(code: str, folder: Path = ROOT) -> set[str]:
    """The modules that a new process has imported after *code*."""
    command = [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_scripts_that_need_neither_torch_nor_statistics_import_none():
    """All that they import, at their tops and in their work."""
    imports = []
    for script in (ROOT / "workflow/scripts").glob("*.py"):
        if script.stem not in WITH_TORCH:
            found = [
                node
                for node in ast.walk(ast.parse(script.read_text()))
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
            assert found, script
            imports += map(ast.unparse, found)
    assert not imported_by("\n".join(imports)) & SLOW


def test_the_second_step_of_quality_imports_no_torch_in_all_its_work():
    """Not even where it calls the functions that records name."""
    calls = "for measure in (*measures_of(OfSets), *measures_of(OfPairs)):\n    measure.compute"
    names = "OfPairs, OfSets, measures_of"
    code = f"from mammosynth.quality import assess, reference\nfrom mammosynth.quality.measures import {names}\n{calls}"
    assert "torch" not in imported_by(code)


def test_a_gans_training_imports_neither_torchvision_nor_torchs_compiler(tmp_path):
    image_set(4, 4).save(tmp_path / "images.npz")
    files = {"squeezenet": str(parameter_file("squeezenet")), "efficientnet_lite0": str(random_lite0())}
    parameters = f"{{name: Path(file) for name, file in {files}.items()}}"
    imported = imported_by(TRAINING.replace("PARAMETERS", parameters), tmp_path)
    assert "torch" in imported
    assert not imported & {"torchvision", "torch._dynamo", "sympy"}


CLASSIFYING = """
from pathlib import Path
import torch
from mammosynth.classifiers.mixes import parse_mix
from mammosynth.classifiers.settings import resolve
from mammosynth.classifiers.training import train
from mammosynth.imageset import ImageSet

torch.set_num_threads(1)
images = ImageSet.load("images.npz")
names = {name: Path(name) for name in ("model", "history", "checkpoint")}
settings = resolve("c", {"method": METHOD, "steps": 1, "batch": 2})
train(parse_mix("real"), [images], images, settings, 0, torch.device("cpu"), **names, parameters=PARAMETERS)
"""


@pytest.mark.parametrize("method", ["resnet18", "efficientnet_lite0"])
def test_a_classifiers_training_imports_neither_torchvision_nor_torchs_compiler(method, tmp_path):
    image_set(4, 4).save(tmp_path / "images.npz")
    code = CLASSIFYING.replace("METHOD", repr(method)).replace(
        "PARAMETERS", repr({"efficientnet_lite0": str(random_lite0())})
    )
    imported = imported_by(code, tmp_path)
    assert "torch" in imported
    assert not imported & {"torchvision", "torch._dynamo", "sympy", "sklearn"}
