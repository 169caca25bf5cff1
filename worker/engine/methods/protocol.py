"""The interface of a method: a generator of coalitions over a game.

A method knows no model, picture or thread. It yields coalitions, receives their scores, and returns
the attribution; its driver may stop at any yield and ask for a snapshot.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from worker.engine.arrays import Credit, Scores
from worker.engine.attribution import Attribution
from worker.engine.game.coalitions import Coalitions
from worker.engine.game.players import Players

Steps = Generator[Coalitions, Scores, Attribution]  # receives (B, K) float64 scores


@dataclass(frozen=True)
class Game:
    """The data that a method starts with.

    base_values and scores: (K,) float64, the (linked) scores of the empty and of the full
    coalition of the players. expected: (M,), logs of how much each player is expected to matter
    (expected_importance.py); None where nothing is expected. compared: whether outputs are in
    threes, of one model, of another, and the first minus the second (outputs.py).
    """

    players: Players
    base_values: Scores
    scores: Scores
    expected: Scores | None = None
    compared: bool = False


class Method(Protocol):
    """One explanation under way by one method.

    drafts_within_steps: whether draft() learns from the scores of a step before all are there.
    """

    drafts_within_steps: ClassVar[bool]

    @property
    def planned_evaluations(self) -> int:
        """Count the evaluations the whole run will take, the two of the game included."""

    def run(self) -> Steps:
        """Yield coalitions until done; return the attribution."""

    def snapshot(self) -> Attribution:
        """Return the attribution so far; valid before, between and after steps."""

    def keep(self, scores: Scores) -> int:
        """Take the scores (B, K) of the first coalitions of a step that is stopped before its end.

        Returns how many of them count in the snapshot from now on; run() must not go on.
        """

    def draft(self, outputs: int, early: Scores) -> Credit | None:
        """Return values of the first outputs so far, (H, W, C, K), for a preview.

        early: (B, K), the scores known so far of the first coalitions of the step under way; none
        where drafts_within_steps is False. Valid when snapshot() is. It takes milliseconds, so a
        method whose snapshot takes longer gives rougher values. None while they would mislead.
        """
