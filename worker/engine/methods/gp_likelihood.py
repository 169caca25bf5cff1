"""Fits the parameters of a Gaussian process to scores by their likelihood.

Carl Rasmussen and Christopher Williams, "Gaussian Processes for Machine Learning", 2006,
https://gaussianprocess.org/gpml/; numbers in brackets refer to its equations.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy.linalg import cholesky
from scipy.linalg.lapack import dpotri

from worker.engine.arrays import Scores

Loss = Callable[[Scores], tuple[float, Scores]]  # of logs of parameters; and its slope by them


def negative_log_likelihood(
    grams: Iterable[Scores], targets: Sequence[Scores]
) -> tuple[float, Scores]:
    """Return -log(likelihood) [5.8] of independent parts, and its slopes by their covariances.

    grams: the covariances (N, N) of each part; targets: its scores (N, K). Covariances are up to a
    factor for each output, the same of all parts, of which the likeliest is taken. Logarithms are
    averaged over the outputs. The slopes are (parts, N, N).
    """
    precisions, factors = zip(*map(invert, grams), strict=True)
    half_log_det = sum(float(np.log(np.diag(factor)).sum()) for factor in factors)
    weights = [each @ target for each, target in zip(precisions, targets, strict=True)]
    count = sum(len(target) for target in targets)
    squares = sum(dots(target, each) for target, each in zip(targets, weights, strict=True))
    amplitudes = np.maximum(squares / count, np.finfo(np.float64).tiny)  # the likeliest: (K,)
    loss = count * np.log(amplitudes).mean() / 2 + half_log_det
    slopes = [
        (precision - each / amplitudes @ each.T / len(amplitudes)) / 2
        for precision, each in zip(precisions, weights, strict=True)
    ]
    return loss, np.array(slopes)


def invert(gram: Scores) -> tuple[Scores, Scores]:
    """Return the inverse of a positive definite matrix, and its upper Cholesky factor: (N, N) each.

    Takes a third of the time of solving for the unit vectors.
    """
    factor = cholesky(gram)
    inverse, _ = dpotri(factor)  # of its lower triangle only zeros
    inverse += inverse.T
    np.fill_diagonal(inverse, np.diag(inverse) / 2)
    return inverse, factor


def scaled(targets: Scores) -> Scores:
    """Divide targets (N, K) by each output's root mean square, as the search ends by the loss."""
    scale = np.sqrt((targets**2).mean(axis=0))  # (K,)
    divided: Scores = targets / np.where(scale > 0, scale, 1)
    return divided


def dots(one: Scores, other: Scores) -> Scores:
    """Multiply column by column: (columns,) of two (N, columns)."""
    products: Scores = np.einsum("nc,nc->c", one, other)
    return products


def find_likeliest(
    loss: Loss, hyperpriors: Scores, start: Scores | None = None, enough: float | None = None
) -> Scores:
    """Find the logs of P parameters that are likeliest by the loss and by normal priors: (P,).

    hyperpriors: (P, 4), mean, standard deviation, lowest and highest of each. The search starts
    from `start` (P,), by default the means, and ends when a step takes less than `enough` off the
    loss; by default, when hardly a digit of it changes.
    """
    from scipy.optimize import OptimizeResult, minimize  # takes half a second, so only where needed

    means, deviations, lowest, highest = hyperpriors.T
    costs = [np.inf]  # of each step

    def cost(logs: Scores) -> tuple[float, Scores]:
        value, slope = loss(logs)
        off = (logs - means) / deviations
        return value + off @ off / 2, slope + off / deviations

    def watch(intermediate_result: OptimizeResult) -> None:
        costs.append(intermediate_result.fun)
        if enough is not None and costs[-2] - costs[-1] < enough:
            raise StopIteration

    bounds = list(zip(lowest, highest, strict=True))
    first = means if start is None else start
    found = minimize(cost, first, method="L-BFGS-B", jac=True, bounds=bounds, callback=watch)
    likeliest: Scores = found.x
    return likeliest
