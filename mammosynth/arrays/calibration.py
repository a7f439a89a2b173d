"""Whether probabilities mean what they say, and what mends them, on arrays.

Probabilities are of malignancy, 0 to 1, and enter by their logit; one nearer than 1e-7 to 0 or 1, as single precision
makes them, counts as that near.
"""

import numpy as np

Array = np.ndarray
NEAREST = 1e-7
STEPS, LONGEST, PRECISION = 100, 2.0, 1e-7  # of Newton's method
TEMPERATURES = (0.1, 10.0)


def logit(probability: Array | float) -> Array:
    """Log-odds of probabilities, finite for 0 and 1, too."""
    nearest = np.clip(np.asarray(probability, float), NEAREST, 1 - NEAREST)
    return np.log(nearest / (1 - nearest))


def logistic(log_odds: Array) -> Array:
    """The probability of log-odds: 1 / (1 + exp(−x)), which as a tangent does not overflow."""
    return (1 + np.tanh(log_odds / 2)) / 2


def calibration_slope(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Slope b of the recalibration logit P(malignant) = a + b · logit(probability) (Cox, Biometrika 45:562, 1958).

    1 is best; below 1 the probabilities are too extreme, above 1 too timid.  A score as in
    :mod:`mammosynth.arrays.statistics`.  NaN where the likelihood has no maximum: a class is missing, the probabilities
    separate the classes without error, or all are one.
    """
    return _recalibrate(labels, probability, weights, slope=True)[:, 1]


def calibration_intercept(labels: Array, probability: Array, predicted: Array, weights: Array) -> Array:
    """Intercept a of the recalibration logit P(malignant) = a + logit(probability): calibration in the large.

    0 is best; below 0 the probabilities are too high on the whole, above 0 too low (slope held at 1: Van Calster et
    al., BMC Med. 17:230, 2019).  A score as in :mod:`mammosynth.arrays.statistics`; NaN where a class is missing.
    """
    return _recalibrate(labels, probability, weights, slope=False)[:, 0]


def _recalibrate(labels: Array, probability: Array, weights: Array, slope: bool) -> Array:
    """Intercept and slope [B, 2] of greatest likelihood in each resample, by Newton's method; NaN if there is none."""
    x, y = logit(probability), np.asarray(labels, float)
    exists = _overlap(x, y, weights) if slope else (weights @ y > 0) & (weights @ (1 - y) > 0)
    found = np.tile([0.0, 0.0 if slope else 1.0], (len(weights), 1))
    last = np.full(found.shape, np.inf)
    with np.errstate(all="ignore"):  # a resample without a maximum goes to infinity, or to NaN
        for _ in range(STEPS):
            fitted = logistic(found[:, :1] + found[:, 1:] * x)
            residual, information = weights * (y - fitted), weights * fitted * (1 - fitted)
            gradient, curvature = residual.sum(1), information.sum(1)
            if slope:
                gradient_x, mixed, curvature_x = residual @ x, information @ x, information @ x**2
                determinant = curvature * curvature_x - mixed**2
                last = np.stack(
                    [curvature_x * gradient - mixed * gradient_x, curvature * gradient_x - mixed * gradient]
                )
                last = last.T / determinant[:, None]
            else:
                last = np.stack([gradient / curvature, np.zeros(len(weights))], axis=1)
            # A long step overshoots where the curve is flat: it is shortened.
            last /= np.maximum(1, np.abs(last).max(1, keepdims=True) / LONGEST)
            found = found + last
            if not (np.abs(last) > PRECISION).any():
                break
    return np.where((exists & (np.abs(last) <= PRECISION).all(1))[:, None], found, np.nan)


def _overlap(x: Array, labels: Array, weights: Array) -> Array:
    """Whether neither class lies wholly above the other in a resample [B]; ties at the edge are no overlap."""
    lowest, highest = (
        [sign * np.min(np.where((weights > 0) & (labels == label), sign * x, np.inf), axis=1) for label in (0, 1)]
        for sign in (1, -1)
    )
    return (lowest[1] < highest[0]) & (lowest[0] < highest[1])


def reliability(labels: Array, probability: Array, weights: Array, most: int = 10) -> tuple[Array, Array]:
    """Points of a reliability diagram: mean probability [K], and the share of malignant images in each resample [B, K].

    labels, probability [N]; weights [B, N], how often each image counts.  K points of equally many images, 10 at least
    and *most* points; fewer where probabilities tie (Bröcker and Smith, Weather Forecast. 22:651, 2007).  NaN where a
    resample has no image of a point.
    """
    count = int(np.clip(len(probability) // 10, 1, most))
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, count + 1)[1:-1]))
    _, point = np.unique(np.searchsorted(edges, probability, side="right"), return_inverse=True)
    members = np.eye(point.max() + 1)[point]
    with np.errstate(invalid="ignore"):
        share = (weights * labels) @ members / (weights @ members)
    return probability @ members / members.sum(0), share


def temperature(labels: Array, probability: Array) -> float:
    """The T for which logit(probability) / T has the greatest likelihood (Guo et al., ICML 2017, section 4.2).

    For the validation part: T is fitted there and used on the test part (:func:`cooled`).  It lies within TEMPERATURES,
    as images that are separated without error would ask for 0.
    """
    from scipy.optimize import minimize_scalar

    x, signs = logit(probability), 2 * np.asarray(labels) - 1

    def loss(log_t: float) -> float:
        return float(np.logaddexp(0, -signs * x / np.exp(log_t)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), options={"xatol": 1e-6}).x))


def cooled(probability: Array, temperature: float) -> Array:
    """Probabilities whose logits are divided by *temperature*: above 1 nearer to 0.5.  Their order stays."""
    return logistic(logit(probability) / temperature)


def at_prevalence(probability: Array, trained: float, prevalence: float) -> Array:
    """Probabilities of a classifier trained at the prevalence *trained* (0.5 if balanced), as they are at *prevalence*.

    Bayes' rule with another prior, all else alike: the log-odds shift by the difference of the prevalences' (Saerens,
    Latinne and Decaestecker, Neural Comput. 14:21, 2002, equation 4; Elkan, IJCAI 2001, theorem 2).  Both prevalences
    lie between 0 and 1, ends excluded.  One that is counted on the test part has seen its labels: state one, or take
    that of the training part.
    """
    return logistic(logit(probability) + logit(prevalence) - logit(trained))
