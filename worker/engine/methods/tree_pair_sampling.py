"""Draws pairs of complementary coalitions of a binary tree: each pair at most once.

A coalition of a tree has one branch with one half in and the other half out; each group beside the
path to that branch is in or out as a whole. These are the coalitions that Owen values depend on,
and that Partition scores. A branch below d others has 2^d pairs of them. Branches take turns until
their pairs are exhausted.
"""

from collections import Counter
from itertools import islice

import numpy as np

from worker.engine.arrays import Indices, Mask
from worker.engine.methods.pair_sampling import take_turns

BITS = 62  # of a number that stands for a context; deeper groups are in or out at random


def branch_depths(groups: Mask) -> Indices:
    """Count the branches above each branch: (M - 1,). groups: see OwenIndex."""
    firsts = groups[::2].argmax(axis=1)  # a player of each branch
    above = [groups[: 2 * branch, first].sum() for branch, first in enumerate(firsts)]
    return np.array(above, dtype=np.int64)


def draw_tree_pairs(groups: Mask, pairs: int, random: np.random.Generator) -> Mask:
    """Draw `pairs` different pairs: (P, M) bool, the members of each pair's smaller coalition.

    groups: see OwenIndex. The pair of the full and the empty coalition is never drawn. P is less
    than `pairs` where fewer pairs exist. Every prefix has as many pairs of each branch that is
    not exhausted, or one more.
    """
    depths = branch_depths(groups).tolist()
    intervals = dict.fromkeys(range(len(depths)), 1.0)
    turns = take_turns(intervals, lambda branch: 2 ** depths[branch], random)
    branches = np.fromiter(islice(turns, pairs), dtype=np.int64)
    members = np.empty((len(branches), groups.shape[1]), dtype=np.bool_)
    for branch, count in Counter(branches.tolist()).items():
        members[branches == branch] = _draw_of_branch(groups, branch, count, random)
    inside = members.sum(axis=1)
    larger = (2 * inside > members.shape[1]) | ((2 * inside == members.shape[1]) & ~members[:, 0])
    members ^= larger[:, np.newaxis]
    return members


def _draw_of_branch(groups: Mask, branch: int, count: int, random: np.random.Generator) -> Mask:
    """Draw `count` different coalitions with the left half of a branch and without the right."""
    left = groups[2 * branch]
    above = np.flatnonzero(groups[: 2 * branch, left.argmax()])
    beside = groups[above ^ 1]  # (depth, M), the other half of each branch above
    numbers = random.choice(2 ** min(len(beside), BITS), count, replace=False)
    contexts = random.random((count, len(beside))) < 0.5
    contexts[:, :BITS] = numbers[:, np.newaxis] >> np.arange(len(beside))[:BITS] & 1
    members: Mask = contexts @ beside | left
    return members
