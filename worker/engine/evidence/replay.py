"""Recomputes an attribution from the scores of its coalitions, without the model."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from worker.engine.arrays import Scores
from worker.engine.attribution import Attribution
from worker.engine.errors import EngineError
from worker.engine.evidence.transcript import Transcript, rows_of
from worker.engine.game.coalitions import Coalitions
from worker.engine.methods.protocol import Game
from worker.engine.methods.registry import METHODS
from worker.engine.metrics.faithfulness import Faithfulness, FaithfulnessCurve
from worker.engine.request import Request

R = TypeVar("R")


class TranscriptError(EngineError):
    """A transcript that these settings and players do not lead to."""


@dataclass(frozen=True)
class Replayed:
    """What a transcript leads to: the attribution and, where it is complete, the curves."""

    attribution: Attribution
    curves: tuple[FaithfulnessCurve, ...]


def replay(
    game: Game, request: Request, transcript: Transcript, curves: Transcript, *, partial: bool
) -> Replayed:
    """Run the method and the metrics of a request on the scores of transcripts.

    partial: whether the explanation was stopped before its end. The numbers are those of the
    explanation to the last bit, on the same kind of processor and with the same library versions;
    others may round differently. Raises TranscriptError where a coalition is not the one that the
    method asks for, or the transcript is too short or too long.
    """
    method = METHODS[request.method](game, request)
    complete = _drive(method.run(), transcript, "method", keep=method.keep if partial else None)
    if complete is None:
        return Replayed(method.snapshot(), ())
    metrics = Faithfulness(complete, request.metrics, seed=request.seed)
    stopped = (lambda _: 0) if partial else None  # of curves no part is kept
    return Replayed(complete, _drive(metrics.run(), curves, "metrics", keep=stopped) or ())


def _drive(
    steps: Generator[Coalitions, Scores, R],
    transcript: Transcript,
    of: str,
    *,
    keep: Callable[[Scores], int] | None,
) -> R | None:
    """Give a generator the recorded scores; return its result, None where it was stopped before.

    keep: takes the scores of a last step that was stopped, and returns how many it takes; None
    where the explanation is complete.
    """
    done = 0
    try:
        coalitions = next(steps)
        for count, scores in zip(transcript.steps, transcript.scores, strict=True):
            last = done + count == len(transcript.rows)
            stopped = keep is not None and last and count < len(coalitions)
            asked = rows_of(coalitions[:count] if stopped else coalitions)
            recorded = transcript.rows[done : done + count]
            if asked != recorded:
                pairs = zip(asked, recorded, strict=False)
                place = next((i for i, (a, b) in enumerate(pairs) if a != b), len(asked))
                raise TranscriptError(
                    f"coalition {done + place} recorded for the {of} is not the one that a replay "
                    f"asks for"
                )
            done += count
            if keep is not None and stopped:
                if keep(scores) == count:
                    return None
                raise TranscriptError(f"a replay of the {of} keeps no part of its last step")
            coalitions = steps.send(scores)
    except StopIteration as stop:
        if done < len(transcript.rows):
            raise TranscriptError(
                f"a replay of the {of} ends after {done} coalitions; recorded are "
                f"{len(transcript.rows)}"
            ) from None
        result: R = stop.value
        return result
    finally:
        steps.close()
    if keep is None:
        raise TranscriptError(
            f"a replay of the {of} goes on after the {done} recorded coalitions, although the "
            f"explanation is complete"
        )
    return None
