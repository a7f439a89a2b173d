"""Whether probabilities mean what they say, and what mends them, on arrays.

Probabilities are of malignancy, 0 to 1, and enter by their logit; one nearer than 1e-7 to 0 or 1, as single precision
makes them, counts as that near.
"""

import numpy as np

Array = np.ndarray
NEAREST = 1e-7
STEPS, LONGEST, PRECISION = 100, 2.0, 1e-7  # of Newton's method
FLATTEST = 0.01  # slope of a recalibration


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


def recalibration(labels: Array, probability: Array) -> tuple[float, float]:
    """Intercept a and slope b for which logit P(malignant) = a + b · logit(probability) is likeliest on these images.

    For the validation part; :func:`recalibrated` then mends the probabilities of other images.  The slope is one over a
    temperature (Guo et al., ICML 2017, section 4.2); the intercept is the shift from the prevalence that a classifier
    was trained at to that of these images (Saerens et al., Neural Comput. 14:21, 2002), and whatever bias else it has.

    As by Platt (Advances in Large Margin Classifiers, 1999), labels are (m + 1) / (m + 2) and 1 / (b + 2) for m
    malignant and b benign images, so that few images, or some that are separated without error, promise no certainty.
    The slope is FLATTEST at least: the order of images stays, also if it was wrong here.
    """
    from scipy.optimize import minimize

    x, malignant = logit(probability), np.asarray(labels) == 1
    aims = np.where(malignant, (malignant.sum() + 1) / (malignant.sum() + 2), 1 / ((~malignant).sum() + 2))

    def loss(found: Array) -> tuple[float, Array]:
        log_odds = found[0] + found[1] * x
        residual = logistic(log_odds) - aims
        value = np.logaddexp(0, log_odds) - aims * log_odds
        return float(value.mean()), np.array([residual.mean(), (residual * x).mean()])

    bounds, options = [(None, None), (FLATTEST, None)], {"ftol": 1e-15, "gtol": 1e-9}
    intercept, slope = minimize(loss, (0.0, 1.0), jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return float(intercept), float(slope)


def recalibrated(probability: Array | float, intercept: Array | float, slope: Array | float) -> Array:
    """The probabilities that have the log-odds intercept + slope · logit(probability)."""
    return logistic(intercept + slope * logit(probability))
