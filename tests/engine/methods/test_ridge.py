"""The regression with a prior, compared with the same posterior computed without shortcuts."""

import numpy as np
import pytest

from worker.engine.methods.ridge import fit_ridge


def posterior_by_definition(members, weights, scores, base, full):
    """Return values, errors and held-out residuals of one output: dense, on a finer grid of odds.

    A player's worth beyond the even share has the variance 4 / M at odds of 1; the logarithm of
    the odds over 3 has a Cauchy distribution of scale 1.
    """
    (B, M) = members.shape
    share = members.mean(axis=1)
    centre = np.eye(M) - 1 / M
    rows, targets = members @ centre, scores - base - share * (full - base)
    weights = weights / weights.mean()
    chances, gains, noises, ratios = [], [], [], []
    most = 18 if B < M else 8  # beyond it the posterior vanishes in rounding errors
    for odds in np.logspace(-8, most, 1301):
        ratio = odds * 3 * 4 / M
        spread = np.diag(1 / weights) + ratio * rows @ rows.T  # of the scores, over the noise
        noise = targets @ np.linalg.solve(spread, targets) / B
        evidence = -np.linalg.slogdet(spread)[1] / 2 - B / 2 * np.log(noise)
        chances.append(evidence - np.log1p(np.log(odds) ** 2))
        gains.append(ratio * rows.T @ np.linalg.inv(spread))  # (M, B)
        noises.append(noise)
        ratios.append(ratio)
    chances = np.exp(np.array(chances) - np.max(chances))
    chances /= chances.sum()
    fits = np.array(gains) @ targets  # (G, M)
    fit, gain = chances @ fits, np.tensordot(chances, gains, axes=1)
    held_out = (targets - rows @ fit) / (1 - np.diag(rows @ gain))
    unseen = np.diag((centre - gain @ rows) @ (centre - gain @ rows).T)
    variance = gain**2 @ held_out**2 + chances @ (np.array(noises) * ratios) * unseen
    variance += chances @ (fits - fit) ** 2
    return fit + (full - base) / M, np.sqrt(variance), held_out


@pytest.mark.parametrize(("players", "coalitions"), [(6, 3), (9, 5), (6, 12), (9, 20), (2, 1)])
def test_values_errors_and_residuals_agree_with_the_posterior(players, coalitions):
    draw = np.random.default_rng(players)
    members = draw.random((coalitions, players)) < 0.5
    members[:, 0], members[:, 1] = True, False
    weights, base, full = draw.random(coalitions) + 0.5, np.array([0.3, -1.0]), np.array([1.0, 2.5])
    worth = draw.normal(size=(players, 2))
    scores = members @ worth + [1.0, 0.1] * draw.normal(size=(coalitions, 2))
    found = fit_ridge(members, weights, scores, base, full)
    assert found.values.sum(axis=0) == pytest.approx(full - base)
    for k in range(2):
        values, errors, held_out = posterior_by_definition(
            members, weights, scores[:, k], base[k], full[k]
        )
        assert found.values[:, k] == pytest.approx(values, rel=2e-3, abs=1e-3)
        assert found.held_out[:, k] == pytest.approx(held_out, rel=2e-3, abs=1e-3)
        assert found.errors[:, k] == pytest.approx(errors, rel=2e-3, abs=1e-3)


@pytest.mark.parametrize(("players", "coalitions"), [(6, 3), (9, 5), (9, 9), (2, 1), (6, 20)])
@pytest.mark.parametrize("additive", [True, False])
def test_another_last_digit_of_the_scores_changes_hardly_a_digit_of_the_fit(
    players, coalitions, additive
):
    """Where a fit can follow every score, or the game is additive, what is left is rounding."""
    draw = np.random.default_rng(players)
    members = draw.random((coalitions, players)) < 0.5
    members[:, 0], members[:, 1] = True, False
    weights, worth = draw.random(coalitions) + 0.5, draw.normal(size=(players, 1))
    base, full = np.zeros(1), worth.sum(axis=0)
    scores = members @ worth + (not additive) * draw.normal(size=(coalitions, 1))
    found = fit_ridge(members, weights, scores, base, full)
    for _ in range(20):
        nearly = scores * (1 + 2e-16 * draw.normal(size=scores.shape))
        again = fit_ridge(members, weights, nearly, base, full)
        assert again.values == pytest.approx(found.values, rel=1e-9, abs=1e-9)
        assert again.errors == pytest.approx(found.errors, rel=1e-6, abs=1e-6)
