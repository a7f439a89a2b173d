"""Logistic regression with a quadratic penalty on the distance from given weights."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit


def fit_logistic(
    x: np.ndarray,
    labels: np.ndarray,
    shares: np.ndarray,
    penalty: float,
    prior: np.ndarray,
    start: tuple[np.ndarray, float] | None = None,
) -> tuple[np.ndarray, float]:
    """Weights [d] and offset of log-odds x @ weights + offset.

    They minimise the mean cross-entropy + penalty/2 · |weights − prior|²; the offset is free.  With a prior of zeros it
    is ridge-penalised regression, else adaptation to new cases by the most probable weights where those of old ones are
    the prior (Chelba and Acero 2004).  As the mean is penalised, and not the sum, cases that all stand twice change
    nothing.

    x: [N, d]; labels: [N], 0 or 1; shares: [N], how much each case weighs in the mean, of any scale; start: where to
    begin.
    """
    signs, shares = np.where(labels == 1, 1.0, -1.0), shares / shares.sum()

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, offset = parameters[:-1], parameters[-1]
        margins = signs * (x @ weights + offset)
        slopes = -signs * expit(-margins) * shares
        away = weights - prior
        value = shares @ np.logaddexp(0, -margins) + penalty / 2 * away @ away
        return value, np.append(x.T @ slopes + penalty * away, slopes.sum())

    weights, offset = start or (prior, 0.0)
    options = {"maxiter": 2000, "gtol": 1e-6, "ftol": 1e-12}
    found = minimize(loss, np.append(weights, offset), jac=True, method="L-BFGS-B", options=options).x
    return found[:-1], float(found[-1])
