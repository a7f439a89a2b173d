"""torchvision imports beside any torch, and does what the pipeline asks of it."""

import importlib
import subprocess
import sys

import torch

from mammosynth.vision import torchvision

v2 = importlib.import_module("torchvision.transforms.v2")


def test_models_and_transforms_run():
    network = torchvision.models.resnet18(weights=None, num_classes=2).eval()
    images = v2.functional.horizontal_flip(torch.rand(2, 3, 64, 64))
    with torch.inference_mode():
        assert network(images).shape == (2, 2)


def test_libraries_that_import_torchvision_themselves_work_after_it():
    code = "import mammosynth.vision, torch_fidelity, pyiqa; pyiqa.create_metric('piqe')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_working_operators_are_not_redeclared():
    """A torchvision whose operators load (a CUDA build, a matching CPU build) keeps them."""
    code = (
        "import torch\n"
        "own = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "for name in ('nms', 'qnms'):\n"
        "    own.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "import mammosynth.vision\n"
        "assert not hasattr(mammosynth.vision, '_declarations')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
