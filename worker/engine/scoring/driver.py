"""Drives explanations to their ends: packs the coalitions that they request into full batches."""

from collections.abc import Iterator, Sequence

from worker.engine.arrays import Pictures
from worker.engine.control import NULL_CONTROL, Control
from worker.engine.explanation import ExplanationResult, ExplanationRun
from worker.engine.predictor import Predictor
from worker.engine.request import Request
from worker.engine.scoring.batch_size import next_span
from worker.engine.scoring.pipeline import ModelBatch, Pipeline, Portion
from worker.engine.scoring.run import RunResult, ScoringRun


def explain(
    predictor: Predictor,
    picture: Pictures,
    request: Request,
    *,
    control: Control = NULL_CONTROL,
    batch: int | None = None,
    threads: int | None = None,
) -> ExplanationResult:
    """Explain a picture (H, W, C), float32 in 0..255; raises the errors of ExplanationRun.

    batch and threads: see Pipeline; they do not change the numbers. For a partial result after an
    interruption, create the ExplanationRun and call `evaluate` instead.
    """
    explanation = ExplanationRun(predictor, picture, request, control=control)
    return evaluate(explanation, predictor, batch=batch, threads=threads)


def evaluate(
    explanation: ExplanationRun,
    predictor: Predictor,
    *,
    batch: int | None = None,
    threads: int | None = None,
) -> ExplanationResult:
    """Drive an explanation to its end.

    Raises any exception of its control or the model, after its threads have ended;
    `explanation.snapshot()` then gives the result so far.
    """
    [(_, ending)] = evaluate_all([explanation], predictor, batch=batch, threads=threads)
    if isinstance(ending, BaseException):
        raise ending
    return ending


def evaluate_all(
    explanations: Sequence[ExplanationRun],
    predictor: Predictor,
    *,
    batch: int | None = None,
    threads: int | None = None,
) -> Iterator[tuple[ExplanationRun, RunResult]]:
    """Drive explanations of one predictor to their ends, side by side; yield each as it ends.

    Each batch is filled from the first explanation, then from the second, and so on: earlier ones
    end earlier, and later ones fill the room they leave. An ending is the result, or the exception
    that ended this explanation alone: an Interruption of its control, or an EngineError of its own.
    An exception of the model is raised and ends all.
    """
    runs = [ScoringRun(explanation) for explanation in explanations]
    del explanations  # frees the arrays of explanations that have ended
    with Pipeline(predictor, batch=batch, threads=threads) as pipeline:
        current = _paint(pipeline, runs)
        while current:
            following = _paint(pipeline, runs)
            _score(pipeline, current, runs)
            for run in runs:
                if run.ending:
                    yield run.explanation, run.ending
            runs = [run for run in runs if not run.ending]
            current = following or _paint(pipeline, runs)


def _paint(pipeline: Pipeline, runs: Sequence[ScoringRun]) -> ModelBatch | None:
    """Start painting the next batch; None where no coalition is waiting."""
    room = next_span(sum(run.waiting for run in runs), pipeline.batch)
    portions: list[Portion] = []
    for run in runs:
        if run.waiting and room:
            portions.append((run, run.take(room)))
            room -= len(portions[-1][1])
    return pipeline.paint(portions) if portions else None


def _score(pipeline: Pipeline, batch: ModelBatch, runs: Sequence[ScoringRun]) -> None:
    """Score a batch, unless all of its explanations have ended by now."""
    pipeline.wait(batch)
    for run in runs:
        run.check()
    if not all(run.ending for run, _ in batch.portions):
        for (run, _), scores in zip(batch.portions, pipeline.score(batch), strict=True):
            run.give(scores)
