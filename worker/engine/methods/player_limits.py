"""The largest number of players of each method that has a limit."""

from collections.abc import Mapping

from worker.engine.errors import BudgetError

MAX_PLAYERS: Mapping[str, int] = {
    "kernel": 4096,  # 64 x 64 pixels; with more, useful regressions exceed memory
    "exact": 16,  # 65,536 coalitions
    "gaussian_process": 1024,  # beyond, its posterior takes too long
}


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
