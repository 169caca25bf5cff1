"""Drives a method of the engine over a game without a picture or a model."""

from collections.abc import Callable
from typing import Any

from worker.engine.arrays import Mask, Scores
from worker.engine.attribution import Attribution
from worker.engine.game.players import PlayerCoalitions
from worker.engine.methods.protocol import Game
from worker.engine.methods.registry import METHODS
from worker.engine.request import Request


def drive(game: Game, request: Request, score: Callable[[Mask], Scores]) -> Attribution:
    """Run the method of a request to its end. score: of members (B, M), the scores (B, K).

    Raises TypeError for a method that asks for other coalitions than of players.
    """
    steps = METHODS[request.method](game, request).run()
    scores: Any = None  # the value first sent to the generator
    while True:
        try:
            asked = steps.send(scores)
        except StopIteration as end:
            attribution: Attribution = end.value
            return attribution
        if not isinstance(asked, PlayerCoalitions):
            raise TypeError(f"{request.method} asks for other coalitions than of players")
        scores = score(asked.members)
