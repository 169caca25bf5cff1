"""The explanation of one picture: from the request to the attribution and its faithfulness."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Credit, Indices, Pictures, Scores
from worker.engine.attribution import Attribution
from worker.engine.control import NULL_CONTROL, Control
from worker.engine.errors import InvalidPictureError, RequestError
from worker.engine.evidence.transcript import Transcript, recorded
from worker.engine.game.coalitions import Coalitions, Shape
from worker.engine.game.expected_importance import expect_importance
from worker.engine.game.image_tree import empty_coalition, grand_coalition
from worker.engine.game.superpixels import make_players
from worker.engine.links import find_link
from worker.engine.masking.maskers import Masker, make_masker
from worker.engine.masking.padding import PaddedMasker, PictureOffset
from worker.engine.methods.protocol import Game, Method
from worker.engine.methods.registry import METHODS
from worker.engine.metrics.faithfulness import Faithfulness, FaithfulnessCurve, max_evaluations
from worker.engine.outputs import OutputScores, Pairing
from worker.engine.predictor import Predictor
from worker.engine.preview import MOST_OUTPUTS, Preview, mean_over_cells
from worker.engine.request import Request


@dataclass
class EngineTimings:
    """The time and model calls that an explanation took.

    mask_s: seconds of painting, summed over threads. model_s: wall seconds in the model.
    evaluations: pictures scored by the model. batches: calls of the model; slots: pictures that
    those calls had room for. A call that several explanations share counts for the first of them.
    """

    mask_s: float = 0.0
    model_s: float = 0.0
    evaluations: int = 0
    batches: int = 0
    slots: int = 0


@dataclass(frozen=True)
class ExplanationResult:
    """A complete or partial attribution, and the outputs (K,) int64 that its K axis stands for.

    Where two models are compared, outputs are the columns of their Pairing. request: the settings.
    players: the number of players. outputs_tied: whether another output scores as high as the last
    of the top ones. faithfulness: a curve for each requested metric and output; empty for a partial
    result, even where only curves are missing. transcript: of the method, without the empty and the
    full coalition. curve_transcript: of the metrics. expected: (M,), as in Game.
    """

    attribution: Attribution
    outputs: Indices
    request: Request
    players: int
    timings: EngineTimings
    transcript: Transcript
    curve_transcript: Transcript
    expected: Scores | None = None
    outputs_tied: bool = False
    faithfulness: tuple[FaithfulnessCurve, ...] = ()

    @property
    def target_reached(self) -> bool | None:
        """Return whether every standard error is at most the target; None without a target."""
        target, largest = self.request.target_standard_error, self.attribution.regions.largest_error
        if target is None:
            return None
        return largest is not None and largest <= target


class ExplanationRun:
    """One explanation under way: yields coalitions, takes their scores, and counts its progress.

    picture: (H, W, C) float32 in 0..255. place: the picture's offset in the predictor's input;
    None where it fills the input. pairing: of the two models of a PairPredictor; None for one
    model. Raises InvalidPictureError where the picture does not fit the predictor, and a
    RequestError where the request does not fit the picture or method.
    """

    def __init__(
        self,
        predictor: Predictor,
        picture: Pictures,
        request: Request,
        *,
        place: PictureOffset | None = None,
        pairing: Pairing | None = None,
        control: Control = NULL_CONTROL,
    ) -> None:
        shape = picture.shape if place else predictor.input_shape
        if picture.shape != shape or picture.dtype != np.float32:
            raise InvalidPictureError(
                f"the picture is {picture.dtype} of shape {picture.shape}; the model takes float32 "
                f"of shape {shape}"
            )
        if not (picture.min() >= 0 and picture.max() <= 255):  # also false for NaN
            raise InvalidPictureError(
                f"the picture has intensities from {picture.min()} to {picture.max()}; they must "
                f"be in 0..255, as pictures are masked before they are preprocessed"
            )
        if request.method not in METHODS:
            raise RequestError(
                f"method is {request.method!r}; it must be one of {', '.join(METHODS)}"
            )
        self.control = control
        self.masker: Masker = make_masker(request.masker, picture)
        self.timings = EngineTimings()
        self._shape: Shape = shape
        self._players = make_players(request.superpixels, picture)
        self._expected: Scores | None = None
        by_looks = request.method == "gaussian_process" and request.prior == "picture"
        if by_looks and self._players.superpixels:
            [hidden] = self.masker(empty_coalition(picture.shape))
            self._expected = expect_importance(self._players, picture, hidden)
        if place:
            self.masker = PaddedMasker(self.masker, picture.shape, place, predictor.input_shape)
        self._request = request
        self._outputs = OutputScores(find_link(request.link), pairing)
        self._method: Method | None = None
        self._attribution: Attribution | None = None  # once complete
        self._previewed_whole = False
        self._curves: tuple[FaithfulnessCurve, ...] = ()
        self._transcript, self._curve_transcript = Transcript(), Transcript()
        self._done = 0  # evaluations
        self._planned_for_curves = 0  # evaluations, at most

    @property
    def shown(self) -> Pictures:
        """Return the picture that the model sees with nothing hidden, (H, W, C) of its input."""
        [shown] = self.masker(grand_coalition(self._shape))
        return np.asarray(shown)

    @property
    def hidden(self) -> Pictures:
        """Return the picture that the model sees with nothing visible, (H, W, C) of its input."""
        [hidden] = self.masker(empty_coalition(self._shape))
        return np.asarray(hidden)

    @property
    def models(self) -> int:
        """Count the models that score each coalition."""
        return self._outputs.models

    @property
    def player_count(self) -> int:
        """Count the players, M."""
        return len(self._players)

    def steps(self) -> Generator[Coalitions, Scores, ExplanationResult]:
        """Yield coalitions; take their scores (B, K) as `read` returns them.

        The first two batches are the empty and the full coalition, each alone. The batches of the
        method follow, then those of the metrics, for all outputs together.
        """
        base = yield empty_coalition(self._shape)  # (1, n_outputs)
        full = yield grand_coalition(self._shape)
        both = np.concatenate([base, full])
        self._outputs.choose(self._request.outputs, both)
        ends = self._outputs.read(both)  # (2, K)
        compared = self._outputs.models == 2
        game = Game(self._players, ends[0], ends[1], self._expected, compared=compared)
        self._method = METHODS[self._request.method](game, self._request)
        metrics = self._request.metrics
        self._planned_for_curves = max_evaluations(metrics, self._shape, len(game.scores))
        steps = recorded(self._method.run(), self._transcript)
        attribution = self._attribution = yield from steps

        faithfulness = Faithfulness(attribution, metrics, seed=self._request.seed)
        self._planned_for_curves = faithfulness.planned_evaluations
        self.advance(0)  # the plan is exact from now on
        self._curves = yield from recorded(faithfulness.run(), self._curve_transcript)
        return self._explained(attribution)

    def read(self, scores: NDArray[np.float32]) -> Scores:
        """Turn the model's scores (B, n_outputs) into (B, K) of the chosen outputs, linked.

        Until f(x) is known no outputs are chosen, and the scores are kept as they are. Raises
        ScoresError for NaN or infinity in a chosen output, LinkError where the link is undefined.
        """
        exact = scores.astype(np.float64)
        return exact if self._outputs.columns is None else self._outputs.read(exact)

    def advance(self, evaluations: int) -> None:
        """Count coalitions as evaluated and report the progress, in evaluations of all models.

        For the curves, the planned evaluations are an upper bound until the method has ended.
        """
        self._done += evaluations
        if self._method is not None:
            attribution = self._attribution
            planned = attribution.evaluations if attribution else self._method.planned_evaluations
            planned += self._planned_for_curves
            self.control.progress(self._done * self.models, planned * self.models)

    def offer_preview(self, early: Sequence[Scores] = ()) -> None:
        """Offer a preview to the control; of the whole attribution once, while curves are made.

        early: the scores of the step under way, as far as they are known.
        """
        if self._method is None or self._previewed_whole:
            return
        if self._attribution or self._method.drafts_within_steps or not early:
            self.control.offer(lambda: self.preview(early))

    def preview(self, early: Sequence[Scores] = ()) -> Preview | None:
        """Return a coarse heatmap of the attribution so far; None while it would mislead."""
        if self._method is None or self._outputs.columns is None:
            return None
        if self._attribution:
            self._previewed_whole = True
            values: Credit | None = self._attribution.values[..., :MOST_OUTPUTS]
            evaluations = planned = self._attribution.evaluations
        else:
            known = np.concatenate([np.empty((0, len(self._outputs.columns))), *early])  # (B, K)
            values = self._method.draft(MOST_OUTPUTS, known)
            evaluations, planned = self._done, self._method.planned_evaluations
        if values is None:
            return None
        heat, cell = mean_over_cells(values)
        counts = evaluations * self.models, planned * self.models
        return Preview(heat, cell, self._outputs.columns[:MOST_OUTPUTS], *counts)

    def keep(self, coalitions: Coalitions, early: Sequence[Scores]) -> None:
        """Count the scores known so far of a step that is stopped, as far as the method can.

        coalitions: of the step.
        """
        if self._method is None or self._attribution or not early:
            return
        scores = np.concatenate(early)
        if kept := self._method.keep(scores):
            self._transcript.add(coalitions[:kept], scores[:kept])

    def snapshot(self) -> ExplanationResult | None:
        """Return the result so far; None until the empty and the full coalition are scored."""
        if self._method is None:
            return None
        return self._explained(self._attribution or self._method.snapshot())

    def _explained(self, attribution: Attribution) -> ExplanationResult:
        if self._outputs.columns is None:
            raise ValueError("no outputs are chosen yet")
        return ExplanationResult(
            attribution=attribution,
            outputs=self._outputs.columns,
            request=self._request,
            players=len(self._players),
            timings=replace(self.timings),
            outputs_tied=self._outputs.tied,
            faithfulness=self._curves,
            transcript=self._transcript,
            curve_transcript=self._curve_transcript,
            expected=self._expected,
        )
