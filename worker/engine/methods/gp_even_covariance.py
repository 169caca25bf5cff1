"""A prior over the even parts of games, and its covariances with their pair interactions.

In the notation of gp_covariance.py, the even part e(S) = (v(S) + v(not S)) / 2 has the terms with U
of even size. Shapley interaction indices of two players depend on it alone: with the discrete
derivative 4 sum_{U with i, j} b_U prod_{k in U \\ {i, j}} s_k, averaged over coalitions of the
others, each player in with the same chance p, and over p,

    SII_ij = 4 sum_{even U with i, j} b_U / (|U| - 1).

Michel Grabisch and Marc Roubens, "An axiomatic approach to the concept of interaction among players
in cooperative games", 1999, https://doi.org/10.1007/s001820050125. The b_U are independent normal
variables with the variance prod_{i in U} tanh(rate_i), as in the odd part; that of the empty set,
the mean of the game, is not known at all and tells nothing of interactions. So:

- Cov(e(S), e(T)) is proportional to cosh(sum_i rate_i s_i t_i), up to a constant;
- in Cov(SII_ij, e(T)) and Var(SII_ij), 1 / (|U| - 1) is the integral of z^(|U| - 2) over z in 0..1.

Variances are divided by that of e(all players), less the constant.
"""

import numpy as np

from worker.engine.arrays import Indices, Scores
from worker.engine.methods.gp_covariance import count_coalitions, quadrature


def even_covariance(signs: Scores, others: Scores, rates: Scores) -> Scores:
    """Return Cov(e(S), e(T)), up to a constant, for signs (N, M) and (B, M): (N, B).

    rates: (M,) > 0. By cosh x - 1 = 2 sinh(x / 2)^2, exact where all rates are small.
    """
    covariances: Scores = (np.sinh((signs * rates) @ others.T / 2) / np.sinh(rates.sum() / 2)) ** 2
    return covariances


def even_covariance_slope(signs: Scores, rates: Scores, weights: Scores) -> Scores:
    """Return the slope of sum(weights * even_covariance(signs, signs, rates)) by each rate: (M,).

    signs: (N, M); weights: (N, N).
    """
    inner, half = (signs * rates) @ signs.T, rates.sum() / 2
    scale = np.sinh(half) ** 2
    by_inner = weights * np.sinh(inner) / (2 * scale)
    of_norm = (weights * np.sinh(inner / 2) ** 2).sum() / scale / np.tanh(half)
    slope: Scores = (signs * (by_inner @ signs)).sum(axis=0) - of_norm
    return slope


def interaction_covariance(signs: Scores, rates: Scores, pairs: Indices) -> Scores:
    """Return Cov(SII_ij, e(T)) for signs (N, M) of T and pairs (2, P) of i and j: (N, P)."""
    nodes, weights = quadrature()
    return _integrate(signs, rates, pairs, nodes, 4 * weights)


def interaction_variance(rates: Scores, pairs: Indices) -> Scores:
    """Return Var(SII_ij) for pairs (2, P) of i and j: (P,)."""
    nodes, weights = quadrature()
    nodes, weights = np.outer(nodes, nodes).ravel(), np.outer(weights, weights).ravel()
    ones = np.ones((1, len(rates)))
    variances: Scores = _integrate(ones, rates, pairs, nodes, 16 * weights)[0]
    return variances


def interaction_weights(signs: Scores, pairs: Indices) -> Scores:
    """Return the weight of e(T) in every SII_ij, for signs (N, M) of T and pairs (2, P): (N, P).

    T stands for its complement too: the weighted sum over one T of each pair is the exact value.
    """
    players = signs.shape[1]
    inside = (signs > 0).sum(axis=1, keepdims=True)  # (N, 1)
    first, second = signs[:, pairs[0]], signs[:, pairs[1]]  # (N, P)
    with_first = np.where(first > 0, inside, players - inside)  # on the side of player i
    others = with_first - 1 - (first == second)  # on that side, beside i and j
    weights: Scores = 2 * first * second / (players - 1) / count_coalitions(players - 2)[others]
    return weights


def independent_interaction_variance(players: int) -> float:
    """Return Var(SII_ij) where the e of all pairs are independent, of variance 1."""
    return float((1 / count_coalitions(players - 2)).sum() * 8 / (players - 1) ** 2)


def _integrate(
    signs: Scores, rates: Scores, pairs: Indices, nodes: Scores, weights: Scores
) -> Scores:
    """Sum prod_{k in U} z tanh(rate_k) t_k / z^2 over even U with i and j, and over nodes: (N, P).

    With l = z tanh(rate) t, a = prod_k (1 + l_k) and b = prod_k (1 - l_k), the inner sum is half of
    l_i l_j (a / (1 + l_i) / (1 + l_j) + b / (1 - l_i) / (1 - l_j)) / z^2.
    """
    squash = np.tanh(rates)
    at = nodes[:, np.newaxis] * squash  # (Q, M)
    log_root = np.log1p(-(at**2)).sum(axis=1) / 2 - _log_norm(rates)  # (Q,)
    exponents = signs @ np.arctanh(at).T  # (N, Q)
    a, b = np.exp(log_root + exponents), np.exp(log_root - exponents)
    total, change = weights * (a + b) / 2, weights * nodes * (a - b) / 2
    beside = 1 / (1 - at**2)  # (Q, M)
    without = beside[:, pairs[0]] * beside[:, pairs[1]]  # (Q, P)
    both = squash[pairs[0]] * squash[pairs[1]] * signs[:, pairs[0]] * signs[:, pairs[1]]  # (N, P)
    either = squash[pairs[0]] * signs[:, pairs[0]] + squash[pairs[1]] * signs[:, pairs[1]]
    alike = total @ without + both * ((total * nodes**2) @ without)
    integral: Scores = both * (alike - either * (change @ without))
    return integral


def _log_norm(rates: Scores) -> float:
    """Return the log of 2 sinh(sum of rates / 2)^2 / prod cosh(rate), the norm of the variances."""
    log_cosh = np.logaddexp(rates, -rates) - np.log(2)
    half = rates.sum() / 2
    log_sinh = half + np.log(-np.expm1(-2 * half) / 2)
    return float(np.log(2) + 2 * log_sinh - log_cosh.sum())
