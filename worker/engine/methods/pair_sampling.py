"""Draws pairs of complementary coalitions: each pair at most once, every prefix equally balanced.

Small and large coalitions weigh most in a Shapley value and are few; those of half the players are
many and weigh little. Pairs with s of M players are drawn in proportion to 1 / sqrt(s (M - s)),
halfway between uniform sizes and the weights of Kernel SHAP, until a size is exhausted. Within a
size, shuffled players are dealt out in turn, so that each is in about equally often.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import islice
from math import comb, sqrt

import numpy as np

from worker.engine.arrays import Mask


def draw_pairs(players: int, pairs: int, random: np.random.Generator) -> Mask:
    """Draw `pairs` different pairs: (P, M) bool, the members of each pair's smaller coalition.

    The empty coalition is never drawn. P is less than `pairs` where fewer pairs exist. The first p
    of P pairs have the sizes that a draw of p pairs has.
    """
    sizes = np.fromiter(islice(_sizes(players, random), pairs), dtype=np.int64)
    members = np.empty((len(sizes), players), dtype=np.bool_)
    for size, count in Counter(sizes.tolist()).items():
        members[sizes == size] = _draw_of_size(players, size, count, random)
    return members


def count_pairs(players: int, size: int) -> int:
    """Count the pairs of a coalition of `size` <= M / 2 players and its complement."""
    return comb(players, size) // (2 if 2 * size == players else 1)


def _sizes(players: int, random: np.random.Generator) -> Iterator[int]:
    """Yield the sizes of the pairs in order, each size at regular intervals until exhausted."""
    intervals = {s: sqrt(s * (players - s)) for s in range(1, players // 2 + 1)}
    if players % 2 == 0:
        intervals[players // 2] *= 2  # a pair has two coalitions of that size
    return take_turns(intervals, lambda size: count_pairs(players, size), random)


def take_turns(
    intervals: Mapping[int, float], counts: Callable[[int], int], random: np.random.Generator
) -> Iterator[int]:
    """Yield the keys of intervals, each at its regular interval until yielded `counts` times."""
    due = [(random.random() * interval, key, 1) for key, interval in intervals.items()]
    heapify(due)
    while due:
        time, key, nth = heappop(due)
        yield key
        if nth < counts(key):
            heappush(due, (time + intervals[key], key, nth + 1))


def _draw_of_size(players: int, size: int, count: int, random: np.random.Generator) -> Mask:
    """Draw `count` different pairs of one size: (count, M)."""
    hands = players // size  # coalitions dealt from one shuffle of the players
    shuffles = np.tile(np.arange(players), (-(-count // hands), 1))
    found = np.empty((0, players), dtype=np.bool_)
    while len(found) < count:
        dealt = random.permuted(shuffles, axis=1)[:, : hands * size].reshape(-1, size)[:count]
        members = np.zeros((count, players), dtype=np.bool_)
        np.put_along_axis(members, dealt, True, axis=1)
        if 2 * size == players:
            members ^= ~members[:, :1]  # of the two halves, the one with player 0
        found = np.concatenate([found, members])
        first = np.unique(np.packbits(found, axis=1), axis=0, return_index=True)[1]
        found = found[np.sort(first)]  # without rows that repeat an earlier one
    return found[:count]
