"""Means over trainings and their differences, with both sources of chance in their standard errors, on arrays.

Which patients are tested and how a training happened to go (GAN and classifier, from their seed): another study would
differ in both.  A design has K folds, each with test patients of its own, and S seeds, that is K · S runs; a run's
difference is the score of a mix less that of the mix it is compared with, of the same fold and seed.

Which patients are trained on is a third source.  The folds of a study share most of them, so that no estimate from them
is unbiased (Bengio and Grandvalet, J. Mach. Learn. Res. 5:1089, 2004): what is said holds for trainings on these
patients.
"""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
LEVEL = 0.05
POWER = 0.8
# What the standard error of an estimate is drawn from.
SEEDS, FOLDS, PATIENTS = "seeds", "folds", "patients"


@dataclass(frozen=True)
class Estimate:
    """A mean over runs, or a mean difference, that is distributed about the truth as t.

    value: NaN if it is a forecast, or undefined.  se: its standard error, in the score's units.  df: the degrees of
    freedom of se; infinite where it counts as known.  basis: SEEDS or FOLDS if the chance of training is in se, so that
    it speaks of a method; PATIENTS if not: then it speaks of these trained networks, on other patients.  luck: the
    standard deviation of a single run's value by training alone; NaN where the runs do not tell it.  same: whether what
    is compared predicts the same in every run, so that a difference is 0 whoever is tested.

    Else, where se is 0, as where two networks call all images alike, nothing is known of the uncertainty: intervals and
    what else is said of it are NaN.
    """

    value: float
    se: float
    df: float
    basis: str
    luck: float = np.nan
    same: bool = False

    @property
    def of_method(self) -> bool:
        """Whether it speaks of a method, and not only of the networks that were trained."""
        return self.basis != PATIENTS

    def interval(self, level: float = 1 - LEVEL) -> tuple[float, float]:
        """Value ± t · se."""
        if self.same:
            return 0.0, 0.0
        reach = self._quantile((1 + level) / 2) * self.se if self.se > 0 else np.nan
        return self.value - reach, self.value + reach

    def p(self) -> float:
        """Two-sided p of the truth being 0; 1 if the value is 0."""
        from scipy.stats import t

        if self.value == 0:
            return 1.0
        return float(2 * t.sf(abs(self.value) / self.se, self.df)) if self.se > 0 else np.nan

    def equivalence_p(self, margin: float) -> float:
        """p of the truth being *margin* or more away from 0: below 0.05, it is shown to be nearer than that.

        Two one-sided tests (Schuirmann, J. Pharmacokinet. Biopharm. 15:657, 1987), the larger p of which counts: below
        0.05 just where the 90 % interval lies between −margin and margin.
        """
        from scipy.stats import t

        if self.same:
            return 0.0
        return float(t.sf((margin - abs(self.value)) / self.se, self.df)) if self.se > 0 else np.nan

    def smallest_difference(self, level: float = LEVEL, power: float = POWER) -> float:
        """The true difference that a study of this standard error calls one, at this two-sided level and power.

        By the noncentral t distribution (Cohen, Statistical Power Analysis, 1988, section 2.5).  Of m mixes with Holm's
        adjustment, the first has to pass level / m.
        """
        from scipy.optimize import brentq
        from scipy.stats import nct, norm

        if not self.se > 0:
            return np.nan
        edge = self._quantile(1 - level / 2)
        if self.df > 1e4:  # where the noncentral t is the normal distribution, and harder to compute
            return float((edge + norm.ppf(power)) * self.se)
        return float(brentq(lambda shift: nct.sf(edge, self.df, shift) - power, 0, 4 * edge + 10) * self.se)

    def _quantile(self, share: float) -> float:
        from scipy.stats import t

        return float(t.ppf(share, self.df))


def mean_over_runs(runs: Array, resampled: Array) -> Estimate:
    """The mean of runs [K, S] of K folds and S seeds, of scores or of paired differences.

    resampled [K, S, B]: the same runs in B cluster bootstraps of their fold's test patients, the same resamples for
    all seeds of a fold.  An external test part has the same patients for all runs: it is one fold, its runs [1, K · S].

    Folds in which a run is undefined (NaN: a class is missing) are left out, and so are such resamples.  The variance
    of the mean of what remains:

    - several seeds: (common + own / S + training / S) / K.  The patients' variance of a run, from the bootstrap, is
      common to a fold's seeds or the run's own (another network errs on other images); that of training is what the
      variance between seeds of a fold has beyond own, and 0 at least.  This is Obuchowski and Rockette's (Commun. Stat.
      Simul. 24:285, 1995) with seeds for readers.
    - one seed, several folds: the variance between folds, which holds both chances, and that of the bootstrap at least,
      over K; df K − 1.
    - one run: that of the bootstrap, basis PATIENTS.

    The variance between seeds has K (S − 1) degrees of freedom, which are divided by the square root of its share in
    the whole; Satterthwaite (Biom. Bull. 2:110, 1946; Hillis, Stat. Med. 26:596, 2007) divides by its square.  A share
    from few seeds is small by chance just when the variance is: by his rule 8 % of equal methods were called different
    at 5 % with three seeds of one fold, and by the share itself one of 8 in 8 % of studies in spite of Holm's
    adjustment.  The root is found by simulation (``benchmarks/verdicts.py``), not derived.
    """
    kept = np.isfinite(runs).all(1)
    runs, resampled = runs[kept], resampled[kept]
    folds, seeds = runs.shape
    if folds == 0:
        return Estimate(np.nan, np.nan, np.nan, PATIENTS)
    value = float(runs.mean())
    covariances = np.array([_covariance(of_fold) for of_fold in resampled])
    patients = covariances.mean()  # the variance of a fold's mean over its seeds
    if seeds > 1:
        single = np.trace(covariances, axis1=1, axis2=2).mean() / seeds
        common = max(0.0, single - (single - patients) * seeds / (seeds - 1))
        return _by_seeds(value, common, single - common, runs.var(1, ddof=1).mean(), folds, seeds)
    if folds > 1:
        return _by_folds(value, patients, runs.var(ddof=1), folds)
    return Estimate(value, float(np.sqrt(patients)), np.inf, PATIENTS)


def _by_seeds(value: float, common: float, own: float, between: float, folds: int, seeds: int) -> Estimate:
    """From the patients' variances of a run and that between the seeds of a fold."""
    training = max(0.0, between - own)
    of_fold = common + (own + training) / seeds
    share = between / seeds / of_fold if of_fold > 0 else 0.0
    df = folds * (seeds - 1) / np.sqrt(share) if share > 0 else np.inf
    return Estimate(value, float(np.sqrt(of_fold / folds)), float(df), SEEDS, float(np.sqrt(training)))


def _by_folds(value: float, patients: float, between: float, folds: int) -> Estimate:
    """From the patients' variance of a run and that between folds of one run each."""
    training = max(0.0, between - patients)
    return Estimate(value, float(np.sqrt((patients + training) / folds)), folds - 1.0, FOLDS, float(np.sqrt(training)))


def _covariance(resampled: Array) -> Array:
    """Covariance [S, S] of runs [S, B] over the resamples in which all are defined."""
    defined = resampled[:, np.isfinite(resampled).all(0)]
    return np.atleast_2d(np.cov(defined)) if defined.shape[1] > 1 else np.zeros((len(resampled),) * 2)


def forecast(
    benign: float,
    malignant: float,
    auroc: float,
    between_mixes: float,
    between_seeds: float,
    luck: float,
    folds: int,
    seeds: int,
) -> Estimate:
    """What :func:`mean_over_runs` may be expected to say of a difference in AUROC, before any training (value NaN).

    benign, malignant: patients in a fold's test part, each of whom counts as one image.  auroc: that expected of both
    mixes.  between_mixes, between_seeds: the correlation, over draws of test patients, of the AUROCs of two networks of
    different mixes, and of one mix with two seeds; about that of their predictions (Hanley and McNeil, Radiology
    148:839, 1983).  luck: the standard deviation of a training's AUROC.

    The variance of an AUROC is that of Hanley and McNeil (Radiology 143:29, 1982).
    """
    pairs_malignant, pairs_benign = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = auroc * (1 - auroc)
    variance += (malignant - 1) * (pairs_malignant - auroc**2) + (benign - 1) * (pairs_benign - auroc**2)
    variance /= benign * malignant
    single, own = 2 * variance * (1 - between_mixes), 2 * variance * (1 - between_seeds)
    training = 2 * luck**2
    if seeds > 1:
        return _by_seeds(np.nan, single - own, own, own + training, folds, seeds)
    if folds > 1:
        return _by_folds(np.nan, single, single + training, folds)
    return Estimate(np.nan, float(np.sqrt(single)), np.inf, PATIENTS)


def delong(labels: Array, first: Array, second: Array, patients: Array) -> Estimate:
    """AUROC of *first* less that of *second*, two networks' probabilities [N] of the same images; basis PATIENTS.

    The paired variance of DeLong, DeLong and Clarke-Pearson (Biometrics 44:837, 1988), for several images a patient as
    by Obuchowski (Biometrics 53:567, 1997): the placements of a patient's images are summed.  NaN if a class is
    missing.
    """
    malignant = labels == 1
    if malignant.all() or not malignant.any():
        return Estimate(np.nan, np.nan, np.inf, PATIENTS)
    _, patient_of = np.unique(patients, return_inverse=True)
    wins = [np.sign(p[malignant][:, None] - p[~malignant][None]) / 2 for p in (first, second)]
    difference = wins[0] - wins[1]
    value = difference.mean()
    sums = []
    for images, placements in ((malignant, difference.mean(1)), (~malignant, difference.mean(0))):
        of_class, counts = patient_of[images], images.sum()
        per_patient = np.bincount(of_class, (placements - value) / counts, minlength=patient_of.max() + 1)
        sums.append((per_patient, len(np.unique(of_class))))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = sum(np.float64(n) / (n - 1) * (s**2).sum() for s, n in sums)
        n = np.float64(patient_of.max() + 1)
        variance += 2 * n / (n - 1) * (sums[0][0] * sums[1][0]).sum()
    return Estimate(float(value), float(np.sqrt(max(variance, 0.0))), np.inf, PATIENTS)


def mcnemar_p(first_right: Array, second_right: Array) -> float:
    """Exact two-sided p of two networks being right [N] (bool) equally often on the same images.

    Of the images on which just one is right, half should be each one's (McNemar, Psychometrika 12:153, 1947).  It takes
    images for independent: with several of a patient it is too small, and :func:`mean_over_runs` of an accuracy is to
    be read.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first_right & ~second_right).sum()), int((~first_right & second_right).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def holm(p: Array) -> Array:
    """p [M] adjusted for their number (Holm, Scand. J. Stat. 6:65, 1979), however they depend on one another.

    NaN stays NaN and counts for none.
    """
    from statsmodels.stats.multitest import multipletests

    tested, adjusted = np.isfinite(p), np.full(len(p), np.nan)
    if tested.any():
        adjusted[tested] = multipletests(p[tested], method="holm")[1]
    return adjusted
