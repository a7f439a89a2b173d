"""No-reference quality of single images: NIQE, BRISQUE and PIQE, by pyiqa. Lower is better for all three.

They were made for photographs (LIVE's models of natural images), not for ultrasound or mammography: a value means
something only beside the real set's own. NIQE reads blocks of 96 px, so of a 128 px image one block, whose covariance
is then zero: the value is finite but inflated, for comparison within a study only, never with published ones.
"""

import contextlib
import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

BATCH = 16
PARAMETERS = ("niqe", "brisque")  # the parameter files that the measures need
DEGENERATE = (torch.linalg.LinAlgError, AssertionError)  # what pyiqa raises where statistics cannot be fitted

Measure = Callable[[torch.Tensor], torch.Tensor]  # float32 [B, 1, H, W] in 0…1 -> [B]


def naturalness(
    images: np.ndarray, parameters: dict[str, str | Path], device: torch.device | str = "cpu"
) -> dict[str, np.ndarray]:
    """NIQE, BRISQUE and PIQE [N] of grey images uint8 [N, H, W]; NaN where a measure has no value.

    parameters: paths of the parameter files ``niqe`` and ``brisque``. A flat or a perfectly regular image has no
    statistics to fit: that is its own failure, which the caller counts, and leaves the others as they are.

    Raises ValueError if *images* is anything else.
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(f"images must be uint8 [N, H, W], not {images.dtype} {list(images.shape)}")
    return {name: _scores(images, load(parameters, device), device) for name, load in MEASURES.items()}


def _scores(images: np.ndarray, measure: Measure, device: torch.device | str) -> np.ndarray:
    scores = np.full(len(images), np.nan)
    textured = np.flatnonzero(images.min((1, 2)) < images.max((1, 2)))
    for start in range(0, len(textured), BATCH):
        batch = textured[start : start + BATCH]
        try:
            scores[batch] = _score(images[batch], measure, device)
        except DEGENERATE:  # some image of the batch: each for itself
            for index in batch:
                with contextlib.suppress(*DEGENERATE):
                    scores[index] = _score(images[[index]], measure, device).item()
    scores[~np.isfinite(scores)] = np.nan
    return scores


def _score(images: np.ndarray, measure: Measure, device: torch.device | str) -> np.ndarray:
    return measure(torch.from_numpy(images)[:, None].to(device).float() / 255).reshape(-1).cpu().numpy()


def _niqe(parameters: dict[str, str | Path], device: torch.device | str) -> Measure:
    import scipy.io

    with np.load(parameters["niqe"]) as model:
        arrays = {"mu_prisparam": model["mu_pris_param"], "cov_prisparam": model["cov_pris_param"]}
    file = io.BytesIO()
    scipy.io.savemat(file, arrays)
    return _create("niqe", device, file)


def _brisque(parameters: dict[str, str | Path], device: torch.device | str) -> Measure:
    """From LIVE's libsvm model: after a header, one line ``coefficient 1:value 2:value …`` for each support vector."""
    _, _, lines = Path(parameters["brisque"]).read_text().partition("\nSV\n")
    rows = [line.split() for line in lines.splitlines()]
    coefficients = torch.tensor([float(row[0]) for row in rows])
    vectors = torch.zeros(len(rows), 36)
    for vector, row in zip(vectors, rows):
        for entry in row[1:]:
            position, value = entry.split(":")
            vector[int(position) - 1] = float(value)
    file = io.BytesIO()
    torch.save((coefficients, vectors), file)
    return _create("brisque", device, file)


def _piqe(parameters: dict[str, str | Path], device: torch.device | str) -> Measure:
    return _create("piqe", device)


def _create(name: str, device: torch.device | str, model: io.BytesIO | None = None) -> Measure:
    """pyiqa's measure, on the model that it would read from a file."""
    import mammosynth.vision  # noqa: F401  isort: skip  (before pyiqa)
    import pyiqa

    options = {}
    if model is not None:
        model.seek(0)
        options = {"pretrained_model_path": model}
    logging.getLogger("pyiqa").setLevel(logging.WARNING)
    return pyiqa.create_metric(name, device=torch.device(device), **options)


MEASURES = {"NIQE": _niqe, "BRISQUE": _brisque, "PIQE": _piqe}
