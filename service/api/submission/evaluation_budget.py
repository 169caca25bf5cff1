"""The number of players, and whether the evaluation budget is enough for them."""

from dataclasses import dataclass
from math import prod

from service.api.http.problems import ApiError, invalid_setting
from service.api.submission.methods import METHODS
from service.jobs.result_size import Shape
from service.schemas.documents import LabelMapInfo
from service.schemas.requests import (
    ExplanationSettings,
    Fit,
    Grid,
    Labels,
    Method,
    Pixels,
    Slic,
    Superpixels,
)

MIN_EVALUATIONS = 2  # the empty and the full coalition
PERMUTATIONS, LEAST_OF_THEM = 10, 500  # of the default budget: permutations, and least evaluations
REGION_KINDS = ["grid", "slic", "labels"]  # superpixels with fewer regions than pixels


@dataclass(frozen=True)
class PlayerCount:
    """The expected number of players, and a lower bound, as far as the API can know them.

    Only the worker segments pictures: it finds how many regions SLIC makes, and how many regions of
    a label map remain after resizing.
    """

    count: int
    least: int


def count_players(
    superpixels: Superpixels, shape: Shape, label_map: LabelMapInfo | None, fit: Fit
) -> PlayerCount:
    """Counts the players of a model input (H, W, C), to which the photo is brought by `fit`."""
    match superpixels:
        case Pixels(channels=channels):
            count = prod(shape if channels == "apart" else shape[:2])
            return PlayerCount(count, least=count)
        case Grid(rows=rows, columns=columns):
            return PlayerCount(rows * columns, least=rows * columns)
        case Slic(segments=segments):
            return PlayerCount(segments, least=segments)
        case Labels():
            regions = label_map.regions if label_map else 0
            laid_as_it_is = label_map and (label_map.height, label_map.width) == shape[:2]
            whole = laid_as_it_is and fit != "pad"  # no region can be lost
            return PlayerCount(regions, least=regions if whole else 1)


def check_players(method: Method, players: PlayerCount) -> None:
    """Raises ApiError if there are more players than the method supports.

    SLIC makes only about the requested number of segments; the request's number is compared.
    """
    most = METHODS[method].most_players
    if most and players.least > most:
        said = (
            f"{method} takes at most {most} players, and these are {players.count}; "
            "ask for superpixels, for fewer of them, or for another method"
        )
        accepted = {"players": {"maximum": most}, "superpixels": REGION_KINDS}
        raise invalid_setting("superpixels", said, players.count, accepted)


def evaluation_budget(settings: ExplanationSettings, players: PlayerCount, *, limit: int) -> int:
    """Returns the requested evaluations, or the default for method and players. Raises ApiError."""
    fewest = _min_evaluations(settings.method, players)
    if settings.max_evals is None:
        evaluations = _default_evaluations(settings.method, players, limit)
    elif settings.max_evals <= limit:
        evaluations = settings.max_evals
    else:
        said = f"at most {limit} evaluations may be asked for"
        bounds = {"minimum": fewest, "maximum": limit}
        raise invalid_setting("max_evals", said, settings.max_evals, bounds)
    if evaluations < fewest:
        raise _too_few(settings, players, fewest, limit)
    return evaluations


def _default_evaluations(method: Method, players: PlayerCount, limit: int) -> int:
    """The default budget: at most `limit`; the method permutation gets whole permutations."""
    if method != "permutation":
        return min(METHODS[method].max_evals or limit, limit)
    permutation = 2 * players.count + 1
    wanted = max(LEAST_OF_THEM, PERMUTATIONS * permutation)
    return wanted if wanted <= limit else (limit // permutation * permutation or limit)


def _min_evaluations(method: Method, players: PlayerCount) -> int:
    """The least evaluations that give a result, as far as the API can know them."""
    if method == "permutation":
        return 2 * players.least + 1
    if method == "exact":
        return int(2**players.least)
    return MIN_EVALUATIONS


def _too_few(
    settings: ExplanationSettings, players: PlayerCount, fewest: int, limit: int
) -> ApiError:
    more = "ask for more of them, or" if fewest <= limit else f"this server allows {limit}; ask"
    said = (
        f"{settings.method} takes at least {fewest} evaluations for {players.count} players; "
        f"{more} for fewer players, by superpixels"
    )
    accepted = {"minimum": fewest, "maximum": limit, "superpixels": REGION_KINDS}
    return invalid_setting("max_evals", said, settings.max_evals, accepted)
