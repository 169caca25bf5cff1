"""Fits the additive game closest to some scores of a game, with its two end scores exact.

This is Kernel SHAP's regression. The same factorisation also gives each score's influence on the
values, and its prediction from the other scores.
"""

from dataclasses import dataclass

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores

CERTAIN = 1 - 1e-9  # of a leverage; above it, a score alone determines its own fit


@dataclass(frozen=True, eq=False)
class Fit:
    """An additive game fitted to B coalitions of M players, for K outputs.

    values: (M, K) float64, the worth of each player; they sum to full_scores - base_values.
    residuals: (B, K), the scores minus the fitted ones. influence: (M, B), the change of the values
    per unit of each score. leverages: (B,), 0..1, the change of a score's own fit per unit of it.
    determined: whether the coalitions determine all values; if not, the values are the most even.
    """

    values: Credit
    residuals: Scores
    influence: Credit
    leverages: Scores
    determined: bool

    def held_out_residuals(self) -> Scores | None:
        """Return the residual of each score when it alone is left out of the fit: (B, K).

        None where a player's value depends on a single score.
        """
        if self.leverages.max(initial=0) > CERTAIN:
            return None
        return self.residuals / (1 - self.leverages[:, np.newaxis])


def fit_additive(
    members: Mask, weights: Scores, scores: Scores, base_values: Scores, full_scores: Scores
) -> Fit:
    """Fit by weighted least squares, with the scores of the empty and the full coalition exact.

    members: (B, M), 1 or True for players that are in; B may be 0. weights: (B,) >= 0. scores:
    (B, K). base_values and full_scores: (K,). The fit is of the values' differences from the even
    share: the centred rows are blind to a constant, so the smallest solution has the sum 0, which
    fixes the values' sum. A unique solution is that of shap, which expresses the last player's
    value by the others'; otherwise, unlike shap's, it favours no player.
    """
    total, in_share = full_scores - base_values, members.mean(axis=1, keepdims=True)  # (K,), (B, 1)
    rows, targets = members - in_share, scores - base_values - in_share * total  # (B, M), (B, K)
    root = np.sqrt(weights)[:, np.newaxis]
    left, stretch, right = np.linalg.svd(root * rows, full_matrices=False)
    tiny = max(rows.shape) * np.finfo(np.float64).eps * stretch.max(initial=0)
    rank = int((stretch > tiny).sum())
    left, stretch, right = left[:, :rank], stretch[:rank], right[:rank]
    influence = (right.T / stretch) @ left.T * root.T
    uneven = influence @ targets
    return Fit(
        values=total / members.shape[1] + uneven,
        residuals=targets - rows @ uneven,
        influence=influence,
        leverages=(left**2).sum(axis=1),
        determined=rank == members.shape[1] - 1,
    )
