"""How many players a method takes, where it does not take any number."""

from collections.abc import Mapping

from worker.engine.errors import BudgetError

MAX_PLAYERS: Mapping[str, int] = {
    "kernel": 4096,  # 64 x 64 pixels; beyond, the regression outgrows memory before it is any good
    "exact": 16,  # 65,536 coalitions
    "gaussian_process": 1024,  # beyond, its posterior takes too long
}


def check_players(method: str, players: int) -> None:
    """Raise BudgetError where they are more than the method takes."""
    most = MAX_PLAYERS[method]
    if players > most:
        raise BudgetError(
            f"the picture has {players} players; {method} takes at most {most}. Group its pixels "
            f"into fewer superpixels, or use another method, such as permutation",
            field="superpixels",
            received=players,
            accepted={"players": {"maximum": most}},
        )
