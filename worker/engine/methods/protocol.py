"""What every method is: a generator of coalitions over a game.

A method sees no model, picture or thread. It yields coalitions, is sent their scores, and returns
the attribution; whoever drives it may stop at any yield and ask for a snapshot.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from worker.engine.arrays import Scores
from worker.engine.attribution import Attribution
from worker.engine.game.coalitions import Coalitions
from worker.engine.game.players import Players

Steps = Generator[Coalitions, Scores, Attribution]  # is sent (B, K) float64 scores


@dataclass(frozen=True)
class Game:
    """What is known before a method starts.

    base_values and scores: (K,) float64, the (linked) scores of the empty and of the full
    coalition of the players.
    """

    players: Players
    base_values: Scores
    scores: Scores


class Method(Protocol):
    """One explanation under way by one method."""

    @property
    def planned_evaluations(self) -> int:
        """Count the evaluations the whole run will take, the two of the game included."""

    def run(self) -> Steps:
        """Yield coalitions until done; return the attribution."""

    def snapshot(self) -> Attribution:
        """Give the attribution as far as it is known: valid before, between and after steps."""
