"""Chooses the coalitions that Kernel SHAP scores, and their weights.

Whole sizes come first, as far as the budget reaches; of the other sizes, pairs are drawn. Sizes,
weights and draws are those of KernelExplainer in shap 0.51 and 0.54, except that a coalition and
its complement are always scored and stored together: shap scores a coalition again when it is drawn
as the complement of an earlier one, and draws coalitions of half the players without complements.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from worker.engine.arrays import Indices, Mask, Scores
from worker.engine.methods.pair_sampling import count_pairs

DRAWS = 8  # at most, per wanted pair; as in shap


@dataclass(frozen=True, eq=False)
class Design:
    """P pairs of complementary coalitions of M players; members (P, M) is one coalition of each.

    First come the pairs whose sizes are taken whole; `fixed` (P,) float64 is the weight of either
    coalition of these, 0 for the drawn pairs. The drawn pairs share the weight `to_share` in
    proportion to `hits` (P,) int64, how often each was drawn; 0 for the pairs taken whole.
    """

    members: Mask
    fixed: Scores
    hits: Indices
    to_share: float

    def __len__(self) -> int:
        return len(self.members)

    @property
    def weights(self) -> Scores:
        """Return the weight of either coalition of each pair: (P,)."""
        share: float = self.to_share / max(1, 2 * self.hits.sum())
        return self.fixed + self.hits * share

    def first(self, pairs: int) -> "Design":
        """Return the design of the first pairs alone."""
        return Design(self.members[:pairs], self.fixed[:pairs], self.hits[:pairs], self.to_share)


def design_pairs(players: int, pairs: int, random: np.random.RandomState) -> Design:
    """Choose `pairs` pairs of coalitions of M players, without the empty and the full one.

    Fewer are given where no more exist, or where DRAWS draws per pair do not find enough.
    """
    pairs = min(pairs, 2 ** (players - 1) - 1)
    shares = _size_weights(players)

    # Sizes from 1 on are taken whole while a size's share of the pairs left covers all its pairs
    taken: list[Mask] = []
    fixed: list[float] = []
    whole, unspent = 0, 1.0  # sizes taken whole, and the weight of the other sizes
    for size, share in enumerate(shares, start=1):
        count = count_pairs(players, size)
        if float(pairs - len(taken)) * share / unspent < count * (1 - 1e-8):
            break
        # Of half the players, only coalitions with player 0, which come first; the others are
        # their complements
        for inside in islice(combinations(range(players), size), count):
            taken.append(_coalition(players, list(inside)))
            fixed.append(share / (2 * count))
        whole, unspent = size, unspent - share

    drawn, hits = _draw(players, shares[whole:], pairs - len(taken), random)
    return Design(
        members=np.concatenate([_stack(taken, players), drawn]),
        fixed=np.concatenate([fixed, np.zeros(len(drawn))]),
        hits=np.concatenate([np.zeros(len(taken), dtype=np.int64), hits]),
        to_share=float(shares[whole:].sum()),
    )


def _size_weights(players: int) -> Scores:
    """Share a weight of 1 among the sizes 1..M // 2, each with its complements' size: (M // 2,).

    Every coalition of s players has (M - 1) / (C(M, s) s (M - s)), up to a constant: theorem 2 of
    Lundberg and Lee.
    """
    sizes = np.arange(1, players // 2 + 1)
    weights = (players - 1) / (sizes * (players - sizes)) * np.where(2 * sizes == players, 1, 2)
    shares: Scores = weights / weights.sum()
    return shares


def _draw(
    players: int, shares: Scores, pairs: int, random: np.random.RandomState
) -> tuple[Mask, Indices]:
    """Draw different pairs of the largest sizes, which have these shares: (P, M), hits (P,)."""
    members: dict[bytes, Mask] = {}
    hits: Counter[bytes] = Counter()
    sizes = np.empty(0, dtype=np.int64)
    if pairs:
        smallest = players // 2 - len(shares) + 1
        sizes = smallest + random.choice(len(shares), DRAWS * pairs, p=shares / shares.sum())
    for size in sizes:
        if len(members) == pairs:
            break
        drawn = _coalition(players, random.permutation(players)[:size])
        pair = (drawn ^ drawn[0]).tobytes()  # the same for the complement
        members.setdefault(pair, drawn)
        hits[pair] += 1
    return _stack(list(members.values()), players), np.array(list(hits.values()), dtype=np.int64)


def _coalition(players: int, inside: list[int] | Indices) -> Mask:
    members = np.zeros(players, dtype=np.bool_)
    members[inside] = True
    return members


def _stack(members: list[Mask], players: int) -> Mask:
    return np.array(members, dtype=np.bool_).reshape(-1, players)
