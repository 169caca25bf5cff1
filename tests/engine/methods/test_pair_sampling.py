import numpy as np
import pytest

from worker.engine.methods.pair_sampling import count_pairs, draw_pairs


@pytest.mark.parametrize("players", [30, 31])
def test_sizes_are_drawn_in_proportion_to_one_over_the_root_of_their_product(players):
    """1 / sqrt(s (M - s)); half as often for half the players, as both of a pair have that size."""
    members = draw_pairs(players, 3000, np.random.default_rng(0))
    sizes = np.arange(1, players // 2 + 1)
    counts = np.bincount(members.sum(axis=1), minlength=len(sizes) + 1)[1:]
    intervals = np.sqrt(sizes * (players - sizes)) * np.where(2 * sizes == players, 2, 1)
    assert counts[0] == players  # exhausted: all pairs of this size
    drawn = sizes >= 4
    rates = counts[drawn] * intervals[drawn]
    assert rates == pytest.approx(np.full(len(rates), rates.mean()), rel=0.03)


def test_pairs_are_counted_once():
    assert [count_pairs(6, size) for size in (1, 2, 3)] == [6, 15, 10]
    assert [count_pairs(5, size) for size in (1, 2)] == [5, 10]
