"""A prior over the odd parts of games, and its covariances with their Shapley values.

Write a coalition of M players as signs s in {-1, 1}^M, 1 for players that are in. A game is a sum
over the sets U of players of b_U prod_{i in U} s_i. Its odd part g(S) = (v(S) - v(not S)) / 2 has
the terms with U of odd size; the Shapley values depend on it alone,
phi_i = 2 sum_{U with i} b_U / |U|: OddSHAP, 2026, https://arxiv.org/abs/2602.01399. The prior takes
the b_U as independent normal variables, b_U with the variance prod_{i in U} tanh(rate_i): players
with larger rates matter more, alone and together. Each covariance then has a closed form or is a
smooth integral:

- Cov(g(S), g(T)) is proportional to sinh(sum_i rate_i s_i t_i);
- in Cov(phi_i, g(T)) and Var(phi_i), 1 / |U| is the integral of z^(|U| - 1) over z in 0..1, and
  z^|U| prod_{i in U} tanh(rate_i) is a product again.

Variances are divided by that of g(all players), so that none grows with 2^M.
"""

from functools import cache

import numpy as np

from worker.engine.arrays import Scores

NODES = 24  # of Gauss-Legendre quadrature: exact for up to 48 players


def shapley_covariance(signs: Scores, rates: Scores) -> Scores:
    """Return Cov(phi_i, g(T)) for signs (N, M) of T: (N, M)."""
    nodes, weights = quadrature()
    return _integrate(signs, rates, nodes, 2 * weights)


def shapley_variance(rates: Scores) -> Scores:
    """Return Var(phi_i): (M,)."""
    nodes, weights = quadrature()
    nodes, weights = np.outer(nodes, nodes).ravel(), np.outer(weights, weights).ravel()
    variances: Scores = _integrate(np.ones((1, len(rates))), rates, nodes, 4 * weights)[0]
    return variances


def shapley_weights(signs: Scores) -> Scores:
    """Return the weight of g(T) in every Shapley value, for signs (N, M) of T: (N, M).

    T stands for its complement too: the weighted sum over one T of each pair is the exact value.
    The weights are also Cov(phi_i, g(T)) where the g of all pairs are independent, of variance 1.
    """
    players = signs.shape[1]
    inside = (signs > 0).sum(axis=1, keepdims=True)  # (N, 1)
    beside = np.where(signs > 0, inside, players - inside) - 1  # others on the side of player i
    weights: Scores = 2 * signs / players / count_coalitions(players - 1)[beside]
    return weights


def independent_variance(players: int) -> float:
    """Return Var(phi_i) where the g of all pairs are independent, of variance 1."""
    return float((1 / count_coalitions(players - 1)).sum() * 4 / players**2)


def count_coalitions(players: int) -> Scores:
    """Count the coalitions of each size 0..players: (players + 1,), infinite beyond float64."""
    sizes = np.arange(1, players + 1)
    logs = np.cumsum(np.log((players + 1 - sizes) / sizes))
    with np.errstate(over="ignore"):
        return np.append(1, np.exp(logs))


def _integrate(signs: Scores, rates: Scores, nodes: Scores, weights: Scores) -> Scores:
    """Sum prod_{j in U} z tanh(rate_j) t_j / z over odd U with i, and that over nodes z: (N, M).

    With l = z tanh(rate_j) t_j, a = prod_j (1 + l) and b = prod_j (1 - l), the inner sum is half of
    l (a / (1 + l) + b / (1 - l)) / z, l that of player i. Powers of e are at most 2, whatever M.
    """
    squash = np.tanh(rates)
    at = nodes[:, np.newaxis] * squash  # (Q, M)
    log_root = np.log1p(-(at**2)).sum(axis=1) / 2 - _log_variance(rates)  # (Q,)
    exponents = signs @ np.arctanh(at).T  # (N, Q)
    a, b = np.exp(log_root + exponents), np.exp(log_root - exponents)
    without_i = 1 / (1 - at**2)  # (Q, M)
    alike = (weights * (a + b) / 2) @ without_i
    apart = (weights * nodes * (a - b) / 2) @ without_i
    integral: Scores = squash * (signs * alike - squash * apart)
    return integral


def _log_variance(rates: Scores) -> float:
    """Return log Var(g(all players)), the (prod (1 + tanh rate_j) - prod (1 - tanh rate_j)) / 2."""
    log_cosh = np.logaddexp(rates, -rates) - np.log(2)
    return float(log_sinh(rates.sum()) - log_cosh.sum())


def log_sinh(rates: Scores) -> Scores:
    """Return log sinh of rates >= 0, -inf for 0, without overflow."""
    with np.errstate(divide="ignore"):
        logs: Scores = rates + np.log(-np.expm1(-2 * rates) / 2)
    return logs


@cache
def quadrature() -> tuple[Scores, Scores]:
    """Return nodes and weights of an integral over 0..1."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2
