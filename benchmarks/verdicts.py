"""How often equal mixes are called different, and a better one better, where trainings differ by luck.

    OMP_NUM_THREADS=1 python -m benchmarks.verdicts --studies 2000

from the repository's root. Simulated studies of 5 folds and 3 seeds: `real` and 8 mixes, of which the first is better
by *gain*, or none. Each study is read four times: whole, and as if there had been one fold, one seed, or both. Beside
the verdicts of `mean_over_runs` (both sources of chance, and with Holm's adjustment over the mixes) stand those of an
interval that resamples patients only and, for one seed, of Nadeau and Bengio's test.
"""

import argparse
import itertools

import numpy as np
from scipy.special import ndtri
from scipy.stats import t

from mammosynth.arrays.comparisons import LEVEL, holm, mean_over_runs
from mammosynth.arrays.statistics import auroc, draw_patients, interval

FOLDS, SEEDS, MIXES = 5, 3, 8
WAYS = ("patients only", "both", "Holm", "Nadeau–Bengio")
DESIGNS = {"1 × 1": (1, 1), "1 × 3": (1, 3), "5 × 1": (5, 1), "5 × 3": (5, 3)}
AUROC = 0.8
PATIENTS_A_FOLD, MALIGNANT, SEVERAL = 130, 0.3, 0.25  # share of patients, and of those with a second image
TESTED_PER_TRAINED = 1 / 3  # patients: of five folds one is tested, one validates, three train
# Shares of a score's variance within a class: of the image, in which all networks agree; of the mix; of the run. Scores
# of two mixes correlate by 0.8, those of two seeds of a mix by 0.85.
OF_IMAGE, OF_MIX, OF_RUN = 0.8, 0.05, 0.15
OF_PATIENT = 0.5  # the share of each of them that images of a patient have in common
OVERLAP = 0.7  # the correlation between folds of what training patients do to a mix, as folds share most of them


def simulate(
    rng: np.random.Generator, luck: float, gain: float = 0.0, of_training: float = 0.0, mixes: int = 1,
    resamples: int = 200,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A study's AUROCs [1 + mixes, K, S] and their resamples [1 + mixes, K, S, B]; the first mix is `real`.

    luck: standard deviation of a training's true AUROC; of_training: that of a mix's over draws of training patients;
    gain: of mix 1.
    """
    runs = np.empty((1 + mixes, FOLDS, SEEDS))
    resampled = np.empty((*runs.shape, resamples))
    true = AUROC + luck * rng.normal(size=runs.shape)
    shared, single = rng.normal(size=(1 + mixes, 1, 1)), rng.normal(size=(1 + mixes, FOLDS, 1))
    true += of_training * (np.sqrt(OVERLAP) * shared + np.sqrt(1 - OVERLAP) * single)
    true[1] += gain
    # Two normal distributions of one width, this far apart, have that area under their ROC curve.
    apart = np.sqrt(2) * ndtri(np.clip(true, 0.5, 0.98))
    for fold in range(FOLDS):
        patients = np.repeat(np.arange(PATIENTS_A_FOLD), 1 + (rng.random(PATIENTS_A_FOLD) < SEVERAL))
        labels = (rng.random(PATIENTS_A_FOLD) < MALIGNANT)[patients].astype(int)
        weights = np.vstack([np.ones(len(labels)), draw_patients(patients, resamples, rng)])
        image, mix = _noise(rng, patients), _noise(rng, patients, 1 + mixes)
        run = _noise(rng, patients, 1 + mixes, SEEDS)
        noise = np.sqrt(OF_IMAGE) * image + np.sqrt(OF_MIX) * mix[:, None] + np.sqrt(OF_RUN) * run
        scores = apart[:, fold, :, None] * labels + noise
        areas = auroc(labels, scores, scores > 0, weights)
        runs[:, fold], resampled[:, fold] = areas[..., 0], areas[..., 1:]
    return runs, resampled


def _noise(rng: np.random.Generator, patients: np.ndarray, *shape: int) -> np.ndarray:
    """Normal noise [*shape, N] of variance 1, of which images of a patient share OF_PATIENT."""
    of_patients = rng.normal(size=(*shape, patients.max() + 1))[..., patients]
    return np.sqrt(OF_PATIENT) * of_patients + np.sqrt(1 - OF_PATIENT) * rng.normal(size=(*shape, len(patients)))


def called(runs: np.ndarray, resampled: np.ndarray, design: tuple[int, int]) -> dict[str, np.ndarray]:
    """Which mixes [M] of a study, read as one of this design, are called different from `real`, by way of calling."""
    folds, seeds = design
    differences = (runs[1:] - runs[0])[:, :folds, :seeds]
    of_resamples = (resampled[1:] - resampled[0])[:, :folds, :seeds]
    estimates = [mean_over_runs(d, r) for d, r in zip(differences, of_resamples)]
    claims = np.array([estimate.of_method for estimate in estimates])
    p = np.array([estimate.p() for estimate in estimates])
    low, high = np.transpose([interval(r.mean((0, 1))) for r in of_resamples])
    ways = {"patients only": (low > 0) | (high < 0), "both": claims & (p < LEVEL), "Holm": claims & (holm(p) < LEVEL)}
    if folds > 1 and seeds == 1:
        ways["Nadeau–Bengio"] = nadeau_bengio_p(differences[..., 0]) < LEVEL
    return ways


def nadeau_bengio_p(differences: np.ndarray) -> np.ndarray:
    """p of differences [M, K] of one run a fold, by the corrected resampled t test (Mach. Learn. 52:239, 2003)."""
    folds = differences.shape[1]
    variance = (1 / folds + TESTED_PER_TRAINED) * differences.var(1, ddof=1)
    return 2 * t.sf(np.abs(differences.mean(1)) / np.sqrt(variance), folds - 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="for equal mixes; half as many for a gain")
    parser.add_argument("--luck", type=float, nargs="+", default=[0, 0.02, 0.04])
    parser.add_argument("--gain", type=float, nargs="+", default=[0, 0.03, 0.05])
    parser.add_argument("--of-training", type=float, default=0.0, help="SD of a mix's AUROC over training patients")
    arguments = parser.parse_args()
    print("luck gain design |" + " |".join(f"{way:>18}" for way in WAYS), "| studies")
    for luck, gain in itertools.product(arguments.luck, arguments.gain):
        rng = np.random.default_rng([int(1000 * luck), int(1000 * gain)])
        studies = arguments.studies if gain == 0 else arguments.studies // 2
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(studies):
            study = simulate(rng, luck, gain, arguments.of_training, MIXES)
            for name, design in DESIGNS.items():
                for way, mixes in called(*study, design).items():
                    # A gain is that of mix 1. Of equal mixes it is the share of the 8; with Holm one is one too many.
                    share = mixes[0] if gain else mixes.any() if way == "Holm" else mixes.mean()
                    found.setdefault((name, way), []).append(float(share))
        for name in DESIGNS:
            cells = [_percent(found.get((name, way), [])) for way in WAYS]
            print(
                f"{luck:.2f} {gain:.2f} {name}  |" + " |".join(f"{cell:>18}" for cell in cells),
                f"| {studies}",
                flush=True,
            )


def _percent(shares: list[float]) -> str:
    """Their mean as a percentage ± its Monte Carlo error."""
    return f"{100 * np.mean(shares):.1f} ± {100 * np.std(shares) / np.sqrt(len(shares)):.1f} %" if shares else "–"


if __name__ == "__main__":
    main()
