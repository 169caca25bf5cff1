"""Estimates how many numbers an explanation holds in memory, from its settings alone.

The API rejects an explanation that is too large for any worker. A worker checks again, and runs
explanations at once only if they fit together.
"""

from math import prod

from service.schemas.classes import OUTPUTS_OF_A_CLASS
from service.schemas.requests import Method, ResolvedSettings

Shape = tuple[int, int, int]  # H, W, C of the pictures that a model takes

# Methods that give standard errors, one for each value
WITH_ERRORS: frozenset[Method] = frozenset({"permutation", "kernel", "exact", "gaussian_process"})


def count_classes(settings: ResolvedSettings) -> int:
    """Return the number of outputs explained."""
    outputs = settings.outputs
    return outputs.top or len(outputs.indices or outputs.labels or [])


def count_outputs(settings: ResolvedSettings) -> int:
    """Return K, the number of results: one for each explained output, of a comparison three."""
    return count_classes(settings) * _results(settings)


def count_numbers(settings: ResolvedSettings, shape: Shape, players: int) -> int:
    """Count the numbers held.

    For each output: (H, W, C) values, as many standard errors if the method gives them, and one
    score per evaluation. Methods that solve equations also hold matrices; interactions of pairs
    also one of pairs by evaluations.
    """
    return count_outputs(settings) * _of_an_output(settings, shape) + _of_equations(
        settings, players
    )


def max_outputs(settings: ResolvedSettings, shape: Shape, players: int, *, limit: int) -> int:
    """Return the most outputs that fit into a number budget; 0 if not even one fits."""
    left = limit - _of_equations(settings, players)
    return max(0, left // (_results(settings) * _of_an_output(settings, shape)))


def _results(settings: ResolvedSettings) -> int:
    return 1 if settings.compare_with is None else OUTPUTS_OF_A_CLASS


def _of_an_output(settings: ResolvedSettings, shape: Shape) -> int:
    arrays = 2 if settings.method in WITH_ERRORS else 1
    return arrays * prod(shape) + settings.max_evals


def _of_equations(settings: ResolvedSettings, players: int) -> int:
    coalitions = 2 ** min(players, 63)
    evaluations: int = min(settings.max_evals, coalitions)
    if settings.method == "gaussian_process":
        pairs = players * (players - 1) // 2 if settings.interactions == 2 else 0
        return (evaluations + pairs) * evaluations  # covariances of scores, some of them at once
    return players * evaluations if settings.method in ("kernel", "exact") else 0
