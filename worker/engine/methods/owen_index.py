"""Owen values of a binary tree over the players, as Partition computes them, from the odd part.

Guillermo Owen, "Values of games with a priori unions", 1977,
https://doi.org/10.1007/978-3-642-45494-3_7. Beside the path from the root to player i lie its
sibling groups: at every branch, the half that i is not in. They are all other players. The Owen
value phi_i is the mean of v(S with i) - v(S) where each sibling group is in S as a whole or not at
all, by independent fair coins. In the notation of gp_covariance.py, with a game that is a sum over
sets U of b_U prod_{j in U} s_j, the mean over a group is 1 for an even number of its players in U,
and 0 for an odd number:

    phi_i = 2 sum_U b_U over all U with i that have an even number of players of each sibling group.

So |U| is odd, and Owen values depend on the odd part alone. The sum of prod_{j in U} tanh(rate_j)
t_j over the even sets U within a group G is cosh(sum_{j in G} rate_j t_j) / prod_{j in G}
cosh(rate_j), so that by a product kernel

    Cov(phi_i, g(T)) = 2 t_i sinh(rate_i) prod_G cosh(sum_{j in G} rate_j t_j) / sinh(sum_j rate_j).
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from worker.engine.arrays import Credit, Indices, Mask, Scores
from worker.engine.game.players import Players
from worker.engine.methods.gp_covariance import log_sinh
from worker.engine.methods.tree_pair_sampling import branch_depths, draw_tree_pairs


@dataclass(frozen=True, eq=False)
class OwenIndex:
    """Owen values of M players nested by a binary tree; ValueIndex documents the methods.

    groups: (G, M) bool, the players in each half of each branch, the two halves of a branch after
    each other, branches from the root down: G = 2 (M - 1). concept: the value's name.
    """

    groups: Mask
    concept: str = "Owen values of a fixed binary tree"

    @classmethod
    def of(cls, players: Players) -> Self:
        """Read the groups from the tree of the players, from the root down."""
        tree, labels = players.tree, players.labels
        parts: list[Any] = [tree.root]
        for part in parts:  # grows
            parts += tree.children(part) or ()

        inside: dict[Any, Mask] = {}
        for part in reversed(parts):
            if children := tree.children(part):
                inside[part] = inside[children[0]] | inside[children[1]]
            else:
                region: Any = tree.region(part)
                leaf = labels[region if isinstance(region, np.ndarray) else region[: labels.ndim]]
                inside[part] = np.arange(len(players)) == leaf.flat[0]
        groups = np.array([inside[part] for part in parts[1:]], dtype=np.bool_)
        concept = f"Owen values of a fixed binary {players.tree_name}"
        return cls(groups.reshape(len(parts) - 1, len(players)), concept)

    @cached_property
    def pairs(self) -> int:
        return sum(self._counts.values())

    def draw(self, pairs: int, random: np.random.Generator) -> Mask:
        return draw_tree_pairs(self.groups, pairs, random)

    def divide(self, members: Mask, odd: Scores, certain: int) -> tuple[Credit, Credit]:
        """Estimate the values from the means over the drawn pairs of branches of equal depth.

        Errors are infinite where no pair of some depth was drawn.
        """
        signs = np.where(members, 1.0, -1.0)
        depths = (~self._whole(signs)).sum(axis=1)  # of the branch whose halves differ; full: 0
        scale, undrawn, unknown = np.ones(len(members)), np.zeros(len(members)), False
        for depth, count in self._counts.items():
            of_depth = np.flatnonzero(depths[1:] == depth) + 1
            drawn = of_depth[of_depth >= certain]
            left = count - len(of_depth) + len(drawn)
            if left and not len(drawn):
                unknown = True
            elif left:
                scale[drawn] = left / len(drawn)
                undrawn[drawn] = 1 - len(drawn) / left
        influence = self.weights(signs) * scale[:, np.newaxis]  # (N, M)
        errors = np.sqrt((influence**2 * undrawn[:, np.newaxis]).T @ odd**2)
        return influence.T @ odd, np.full_like(errors, np.inf) if unknown else errors

    def covariance(self, signs: Scores, rates: Scores) -> Scores:
        inner = (signs * rates) @ self._inside.T  # (N, G)
        log_cosh = np.logaddexp(inner, -inner) - np.log(2)
        logs = log_cosh @ self._beside + log_sinh(rates) - log_sinh(rates.sum())  # at most log(2)
        covariances: Scores = 2 * signs * np.exp(logs)
        return covariances

    def variance(self, rates: Scores) -> Scores:
        variances: Scores = 2 * self.covariance(np.ones((1, len(rates))), rates)[0]
        return variances

    def weights(self, signs: Scores) -> Scores:
        split = (~self._whole(signs)).astype(np.float64) @ self._beside  # (N, M), sibling groups
        return np.where(split == 0, np.ldexp(2 * signs, -self._depths), 0)

    def independent_variance(self) -> Scores:
        return np.ldexp(4.0, -self._depths)

    def _whole(self, signs: Scores) -> Mask:
        """Return which groups are in or out as a whole: (N, G)."""
        whole: Mask = np.abs(signs @ self._inside.T) == self._inside.sum(axis=1)
        return whole

    @cached_property
    def _counts(self) -> dict[int, int]:
        """Count the pairs of all branches of each depth."""
        branches = Counter(branch_depths(self.groups).tolist())
        return {depth: count << depth for depth, count in branches.items()}

    @cached_property
    def _inside(self) -> Scores:
        """Return 1 for the players of each group, else 0: (G, M)."""
        return self.groups.astype(np.float64)

    @cached_property
    def _beside(self) -> Scores:
        """Return 1 where a group is a sibling group of a player, else 0: (G, M)."""
        return self._inside.reshape(-1, 2, self.groups.shape[1])[:, ::-1].reshape(self.groups.shape)

    @cached_property
    def _depths(self) -> Indices:
        """Count the sibling groups of each player: (M,)."""
        depths: Indices = self.groups.sum(axis=0)
        return depths
