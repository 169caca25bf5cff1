"""How large an explanation is: the numbers that are held of it, from its settings alone.

The API refuses what is too large for any worker; a worker refuses it again, and takes side by side
only what is not too large together.
"""

from math import prod

from service.schemas.requests import Method, ResolvedSettings

Shape = tuple[int, int, int]  # H, W, C of the pictures that a model takes

# Methods that know standard errors, which are as many as the values
WITH_ERRORS: frozenset[Method] = frozenset({"permutation", "kernel", "exact", "gaussian_process"})


def count_outputs(settings: ResolvedSettings) -> int:
    """How many outputs are explained, K."""
    outputs = settings.outputs
    return outputs.top or len(outputs.indices or outputs.labels or [])


def count_numbers(settings: ResolvedSettings, shape: Shape, players: int) -> int:
    """The numbers held: for each output (H, W, C) values, and so many errors, and a score of each
    evaluation; and the matrices of those methods that solve equations.
    """
    return count_outputs(settings) * _of_an_output(settings, shape) + _of_equations(
        settings, players
    )


def max_outputs(settings: ResolvedSettings, shape: Shape, players: int, *, limit: int) -> int:
    """How many outputs may be explained with so many numbers at most; 0 where not even one."""
    left = limit - _of_equations(settings, players)
    return max(0, left // _of_an_output(settings, shape))


def _of_an_output(settings: ResolvedSettings, shape: Shape) -> int:
    arrays = 2 if settings.method in WITH_ERRORS else 1
    return arrays * prod(shape) + settings.max_evals


def _of_equations(settings: ResolvedSettings, players: int) -> int:
    coalitions = 2 ** min(players, 63)
    evaluations: int = min(settings.max_evals, coalitions)
    if settings.method == "gaussian_process":
        return evaluations**2  # covariances of all pairs of scores, some of them at once
    return players * evaluations if settings.method in ("kernel", "exact") else 0
