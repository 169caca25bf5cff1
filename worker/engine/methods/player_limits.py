"""The largest number of players of each method that has a limit."""

from collections.abc import Mapping

from worker.engine.errors import BudgetError
from worker.engine.game.players import Players

MAX_PLAYERS: Mapping[str, int] = {
    "kernel": 4096,  # 64 x 64 pixels; with more, useful regressions exceed memory
    "exact": 16,  # 65,536 coalitions
    "gaussian_process": 1024,  # beyond, its posterior takes too long
}
MAX_PLAYERS_OF_INTERACTIONS = 50  # 1225 pairs; more are neither learnt nor read


def check_players(method: str, players: int) -> None:
    """Raise BudgetError where `players` exceeds the method's limit."""
    most = MAX_PLAYERS[method]
    if players > most:
        raise BudgetError(
            f"the picture has {players} players; {method} takes at most {most}. Group its pixels "
            f"into fewer superpixels, or use another method, such as permutation",
            field="superpixels",
            received=players,
            accepted={"players": {"maximum": most}},
        )


def check_players_of_interactions(players: Players) -> None:
    """Raise BudgetError unless the players are superpixels, and few enough for their pairs."""
    most = MAX_PLAYERS_OF_INTERACTIONS
    if players.superpixels and len(players) <= most:
        return
    found = "superpixels" if players.superpixels else "pixels"
    raise BudgetError(
        f"the picture has {len(players)} {found} as players; interactions are of at most {most} "
        f"superpixels. Cut it into fewer, or set interactions to 1",
        field="superpixels",
        received=len(players),
        accepted={"players": {"maximum": most}},
    )
