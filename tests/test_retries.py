"""What fails by the machine is tried again, as often as `retries` says; what fails by its input is not."""

import pytest
from workflow_for_tests import copy_workflow, snakemake

FAILING = """
if __name__ == "__main__":
    import os, signal
    from mammosynth.errors import CutOff, InputError, MachineError
    from mammosynth.job import started

    with started(snakemake):
        with open({tries!r}, "a") as file:
            file.write("x")
        {fault}
"""


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        ('raise InputError("row 3 is wrong:\\n ERROR mend it")', 1),
        ('raise MachineError("the disk is full")', 3),
        ('raise CutOff("SIGTERM after step 2 of 5: the checkpoint is saved")', 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", 3),
        ('print("ERROR InputError: said by another"); raise RuntimeError("CUDA error")', 3),
    ],
)
def test_what_is_tried_again(fault, tries, tmp_path):
    copy_workflow(tmp_path / "house")
    script, tried = tmp_path / "house/workflow/scripts/make_phantoms.py", tmp_path / "tried"
    script.write_text(FAILING.format(tries=str(tried), fault=fault))
    (tmp_path / "study").mkdir()
    target = "results/phantoms/phantom_ultrasound/patients.csv"
    run = snakemake(tmp_path / "study", target, "--retries", "2", house=tmp_path / "house")
    assert run.returncode != 0
    assert "make_phantoms" in run.stdout
    assert len(tried.read_text()) == tries, run.stdout
