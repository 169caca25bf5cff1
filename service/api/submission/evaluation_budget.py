"""The number of players, and whether the evaluation budget is enough for them."""

from dataclasses import dataclass
from math import prod

from service.api.http.problems import invalid_setting
from service.api.submission.methods import METHODS, MOST_INTERACTING
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
DEFAULT_PERMUTATIONS, LEAST_DEFAULT = 10, 500  # permutations, and least evaluations for them
REGION_KINDS = ["grid", "slic", "labels"]  # superpixels with fewer regions than pixels


@dataclass(frozen=True)
class PlayerCount:
    """The expected number of players, and a lower bound, as far as the API can know them.

    The worker segments pictures: only it knows how many regions SLIC makes, and how many regions
    of a label map remain after resizing.
    """

    count: int
    least: int


def count_players(
    superpixels: Superpixels, shape: Shape, label_map: LabelMapInfo | None, fit: Fit
) -> PlayerCount:
    """Counts the players of a model input (H, W, C), to which `fit` converts the photo."""
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
            not_resized = label_map and (label_map.height, label_map.width) == shape[:2]
            complete = not_resized and fit != "pad"  # no region can be lost
            return PlayerCount(regions, least=regions if complete else 1)


def check_players(method: Method, players: PlayerCount) -> None:
    """Raises ApiError if there are more players than the method supports.

    SLIC makes only about the requested number of segments; the request's number is compared.
    """
    most = METHODS[method].most_players
    if most and players.least > most:
        said = (
            f"{method} supports at most {most} players; received {players.count}: "
            "request superpixels, fewer superpixels, or another method"
        )
        accepted = {"players": {"maximum": most}, "superpixels": REGION_KINDS}
        raise invalid_setting("superpixels", said, players.count, accepted)


def check_interactions(superpixels: Superpixels, players: PlayerCount) -> None:
    """Raises ApiError if the players are pixels, or too many for interactions of their pairs."""
    if not isinstance(superpixels, Pixels) and players.least <= MOST_INTERACTING:
        return
    what = "pixels" if isinstance(superpixels, Pixels) else "superpixels"
    said = (
        f"interactions are of at most {MOST_INTERACTING} superpixels; received {players.count} "
        f"{what}: request fewer superpixels, or interactions of 1"
    )
    accepted = {"players": {"maximum": MOST_INTERACTING}, "superpixels": REGION_KINDS}
    raise invalid_setting("superpixels", said, players.count, accepted)


def evaluation_budget(settings: ExplanationSettings, players: PlayerCount, *, limit: int) -> int:
    """Returns the requested evaluations, or the default for method and players. Raises ApiError."""
    fewest, requested = _min_evaluations(settings.method, players), settings.max_evals
    accepted: dict[str, object] = {"minimum": fewest, "maximum": limit}
    if requested is not None and requested > limit:
        said = f"this server allows {limit} evaluations"
        raise invalid_setting("max_evals", said, requested, accepted)
    evaluations = requested or _default_evaluations(settings.method, players, limit)
    if evaluations < fewest:
        more = "request more, or" if fewest <= limit else f"this server allows {limit}; request"
        said = (
            f"{settings.method} needs at least {fewest} evaluations for {players.count} players; "
            f"{more} fewer players, by superpixels"
        )
        accepted |= {"superpixels": REGION_KINDS}
        raise invalid_setting("max_evals", said, requested, accepted)
    return evaluations


def _default_evaluations(method: Method, players: PlayerCount, limit: int) -> int:
    """The default budget: at most `limit`; the method permutation gets whole permutations."""
    if method != "permutation":
        return min(METHODS[method].max_evals or limit, limit)
    permutation = 2 * players.count + 1
    wanted = max(LEAST_DEFAULT, DEFAULT_PERMUTATIONS * permutation)
    return wanted if wanted <= limit else (limit // permutation * permutation or limit)


def _min_evaluations(method: Method, players: PlayerCount) -> int:
    """The least evaluations that give a result, as far as the API can know them."""
    if method == "permutation":
        return 2 * players.least + 1
    if method == "exact":
        return int(2**players.least)
    return MIN_EVALUATIONS
