"""The additive game closest to some scores of a game, its two ends given.

Kernel SHAP's regression, and what a single factorisation of it tells besides: how much each score
pulls at the values, and what would have been predicted had it not been known.
"""

from dataclasses import dataclass

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores

CERTAIN = 1 - 1e-9  # of a leverage: nothing but the score itself determines what is fitted to it


@dataclass(frozen=True, eq=False)
class Fit:
    """An additive game fitted to B coalitions of M players, for K outputs.

    values: (M, K) float64, the worth of each player; they sum to the change from end to end.
    residuals: (B, K), the scores less the fitted ones. influence: (M, B), how far a unit of each
    score moves the values. leverages: (B,), 0..1, how far it moves its own fit. determined:
    whether the coalitions tell all players apart; if not, the values are the most even ones.
    """

    values: Credit
    residuals: Scores
    influence: Credit
    leverages: Scores
    determined: bool

    def held_out_residuals(self) -> Scores | None:
        """Give the residuals each score would have if it alone were left out: (B, K).

        None where a score is all there is to tell something of a player.
        """
        if self.leverages.max(initial=0) > CERTAIN:
            return None
        return self.residuals / (1 - self.leverages[:, np.newaxis])


def fit_additive(
    members: Mask, weights: Scores, scores: Scores, base_values: Scores, full_scores: Scores
) -> Fit:
    """Fit by weighted least squares, with the scores of the empty and the full coalition exact.

    members: (B, M), who is in; B may be 0. weights: (B,) >= 0. scores: (B, K). base_values and
    full_scores: (K,). The sum of the values is held by fitting what they differ from the even
    share: the centred rows do not see a constant, so the smallest solution has the sum 0. Where it
    is the only one it is that of shap, which puts the last player's value in terms of the others';
    else, unlike shap's, it favours no player.
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
