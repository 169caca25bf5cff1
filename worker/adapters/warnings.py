"""Warnings about doubtful explanations; docs/warnings.md gives the reasons for each."""

from collections.abc import Iterator

import numpy as np

from service.images.decoding import Picture
from service.jobs.records import ProgressCount
from service.schemas.documents import ImageInfo
from service.schemas.results import Rectangle
from service.schemas.warnings import ResultWarning, WarningCode
from worker.engine.backends.pair import fitted
from worker.engine.explanation import ExplanationResult, ExplanationRun
from worker.engine.metrics.perturbation import METRICS
from worker.models.scoring_models import ScoringModels

MIN_FIDELITY = 0.5  # of the variance of left-out scores
MAX_EVEN_ENERGY = 0.5  # of the variance over pairs of complements
MAX_UNRESOLVED = 0.05  # chance that two elements share a region; 20 equal regions have this
MAX_OUTSIDE = 0.4  # of the upload's pixels; a square crop of a 3:2 photo leaves out less
MOST_SHIFTED = 3  # levels of 255; JPEG at quality 75 changes about as much
LEAST_LEVELS = 64  # of 256; samples of 14 bits stored as 16 fill no more than these
MAX_TIED = 0.05  # of the elements of a picture
EXACT_DTYPES = ("float32", "float64")


def run_warnings(
    explained: ExplanationResult, *, stopped_at: ProgressCount | None
) -> Iterator[ResultWarning]:
    """Warn about the run as a whole; stopped_at: the progress at a cancel, else None."""
    found, request = explained.attribution, explained.request
    if stopped_at is not None:
        done, planned = stopped_at.evaluations, stopped_at.planned
        detail = f"the explanation was canceled after {done} of {planned} evaluations"
        yield _warning(WarningCode.PARTIAL, detail, value=done, limit=planned)
    if found.standard_errors is None and not found.exact:
        advice = (
            "partition does not estimate them; kernel and gaussian_process do, on superpixels"
            if request.method == "partition"
            else f"{request.method} needs more evaluations (max_evals) to estimate them"
        )
        detail = (
            f"the values are estimates from {found.evaluations} evaluations with unknown standard "
            f"errors: {advice}"
        )
        yield _warning(WarningCode.NO_STANDARD_ERRORS, detail)
    elif found.regions.reach is None and not found.exact:
        detail = (
            f"{found.evaluations} evaluations are too few for valid 95 % intervals of "
            f"{explained.players} players: only standard errors are given"
        )
        yield _warning(WarningCode.NO_INTERVAL, detail, value=found.evaluations)
    if found.steady_from is not None and found.evaluations < found.steady_from and not found.exact:
        effect = (
            "the values may be many times too large, as regularization is none"
            if request.regularization == "none"
            else "a prior has shrunk the values towards the even share"
        )
        detail = (
            f"{found.evaluations} evaluations are few for a regression on {explained.players} "
            f"players, which is stable from {found.steady_from} evaluations on: {effect}"
        )
        yield _warning(
            WarningCode.FEW_EVALUATIONS, detail, value=found.evaluations, limit=found.steady_from
        )
    if found.unresolved > MAX_UNRESOLVED:
        detail = (
            f"{_percent(found.unresolved)} of all pairs of pixels lie within one region, over "
            f"which credit is spread evenly; with more than {found.evaluations} evaluations "
            "(max_evals), large regions are divided further"
        )
        yield _warning(
            WarningCode.COARSE_REGIONS, detail, value=found.unresolved, limit=MAX_UNRESOLVED
        )
    if explained.target_reached is False:
        target, largest = request.target_standard_error, found.regions.largest_error
        reached = "is unknown" if largest is None else f"is {largest:.3g}"
        detail = (
            f"the largest standard error {reached} after {found.evaluations} evaluations; the "
            f"target is {target:.3g}"
        )
        yield _warning(WarningCode.TARGET_NOT_REACHED, detail, value=largest, limit=target)
    if found.tied:
        detail = (
            f"{found.tied} parts of the picture were left undivided although the score changes as "
            "much for them as for the last part divided: the seed decided between them"
        )
        yield _warning(WarningCode.TIES, detail)
    if explained.outputs_tied:
        detail = (
            f"another output scores as high as the last of the top {len(explained.outputs)}; of "
            "outputs with equal scores, those with the lowest indices are explained"
        )
        yield _warning(WarningCode.TIES, detail)


def output_warnings(explained: ExplanationResult, labels: list[str]) -> Iterator[ResultWarning]:
    """Warn about single outputs; `labels` name all outputs of the model."""
    fidelity, even = explained.attribution.held_out_fidelity, explained.attribution.even_energy
    for k, index in enumerate(explained.outputs.tolist()):
        if fidelity is not None and fidelity[k] < MIN_FIDELITY:
            detail = (
                f"the held-out fidelity of {labels[index]} is {fidelity[k]:.2f}, below "
                f"{MIN_FIDELITY:.2f}; left-out scores are badly predicted from the others, as "
                "evaluations are too few or players interact in ways the method does not model"
            )
            yield _warning(
                WarningCode.LOW_HELD_OUT_FIDELITY,
                detail,
                output=index,
                value=float(fidelity[k]),
                limit=MIN_FIDELITY,
            )
        if even is not None and even[k] > MAX_EVEN_ENERGY:
            detail = (
                f"{_percent(even[k])} of the variance of the score of {labels[index]} is the same "
                "for a coalition and its complement, which no attribution can show; the limit is "
                f"{_percent(MAX_EVEN_ENERGY)}"
            )
            yield _warning(
                WarningCode.LARGE_EVEN_ENERGY,
                detail,
                output=index,
                value=float(even[k]),
                limit=MAX_EVEN_ENERGY,
            )


def curve_warnings(explained: ExplanationResult, labels: list[str]) -> Iterator[ResultWarning]:
    """Warn where faithfulness curves cast doubt on the values, or on the curves themselves."""
    for curve in explained.faithfulness:
        index = int(explained.outputs[curve.output])
        name = f"{curve.metric} of {labels[index]}"
        if curve.is_better is False:
            better = "above" if METRICS[curve.metric].rises else "below"
            detail = (
                f"the area of {name} is {curve.area:.3g}; it should be {better} that of a random "
                f"order, which is {curve.baseline_area:.3g}"
            )
            yield _warning(
                WarningCode.NOT_BETTER_THAN_RANDOM,
                detail,
                output=index,
                value=curve.area,
                limit=curve.baseline_area,
            )
        if curve.largest_tie > MAX_TIED:
            detail = (
                f"{_percent(curve.largest_tie)} of the picture has one value in {name} and is "
                "shown or hidden in the order of position; another order would give another area"
            )
            yield _warning(
                WarningCode.TIES, detail, output=index, value=curve.largest_tie, limit=MAX_TIED
            )


def precision_warnings(scoring: ScoringModels) -> Iterator[ResultWarning]:
    """Warn where a model computes in less than float32."""
    for card in (model.card for model in scoring.models):
        if card.dtype in EXACT_DTYPES:
            continue
        error = card.precision_error.largest if card.precision_error else None
        off = "" if error is None else f"; when it was loaded, scores were off by up to {error:.2g}"
        detail = f"{card.name} computes in {card.dtype}, so the explanation is a draft{off}"
        yield _warning(WarningCode.DRAFT_PRECISION, detail, value=error)


def resizing_warnings(scoring: ScoringModels) -> Iterator[ResultWarning]:
    """Warn where the compared model sees the picture enlarged, or in another aspect ratio."""
    (h, w, _), *others = (model.predictor.input_shape for model in scoring.models)
    for H, W, _ in others:
        name, size = scoring.refs[1].name, f"{W} x {H} pixels"
        if H * w != W * h:
            detail = (
                f"{name} takes {size} and saw the {w} x {h} of {scoring.refs[0].name} in another "
                "aspect ratio, so its scores may not be those of its own explanations"
            )
            yield _warning(WarningCode.COMPARED_RESIZED, detail)
        elif h < H:
            detail = (
                f"{name} takes {size} and saw the {w} x {h} of {scoring.refs[0].name} enlarged, "
                "without the details that it sees alone: with the models swapped both see theirs"
            )
            yield _warning(WarningCode.COMPARED_RESIZED, detail, value=H / h, limit=1.0)


def hidden_nan_warnings(
    scoring: ScoringModels, explanation: ExplanationRun, explained: ExplanationResult
) -> Iterator[ResultWarning]:
    """Warn where f(x) or the base value is NaN when a model's operations run unfused."""
    classes = np.array(sorted({scoring.describe(int(each))[1] for each in explained.outputs}))
    places = [classes, scoring.pairing.counterparts[classes] if scoring.pairing else classes]
    for model, outputs in zip(scoring.models, places, strict=False):
        if model.unfused is None:
            continue
        ends = {"nothing": explanation.hidden, "everything": explanation.shown}
        pictures = fitted(np.stack([*ends.values()]), model.predictor.input_shape)
        scores = model.unfused(pictures)[:, outputs]  # (2, K)
        for visible, row in zip(ends, scores, strict=True):
            if not np.isfinite(row).all():
                detail = (
                    f"with {visible} visible, the operations of {model.card.name} give NaN, which "
                    "the backend turned into a number without meaning; the values are differences "
                    "from it, and have none either"
                )
                yield _warning(WarningCode.NAN_HIDDEN, detail)


def crop_warnings(crop: Rectangle, image: ImageInfo) -> Iterator[ResultWarning]:
    """Warn where much of the upright upload lies outside the crop that the model saw."""
    width = min(crop.right, image.width) - max(crop.left, 0)
    height = min(crop.bottom, image.height) - max(crop.top, 0)
    outside = 1 - width * height / (image.width * image.height)
    if outside > MAX_OUTSIDE:
        detail = (
            f"{_percent(outside)} of the picture is outside the {width} x {height} pixels that the "
            f"model saw of its {image.width} x {image.height}; with the fits stretch and pad, the "
            "model sees all of it"
        )
        yield _warning(WarningCode.PICTURE_CROPPED, detail, value=outside, limit=MAX_OUTSIDE)


def picture_warnings(picture: Picture) -> Iterator[ResultWarning]:
    """Warn where the upload's colours are not sRGB, or its brightest level is low."""
    if (colours := picture.colours) is not None:
        shift = colours.shift(picture.pixels)
        if shift is None or shift > MOST_SHIFTED:
            off = "" if shift is None else f", on average {shift:.0f} levels from sRGB"
            detail = (
                f"the colours of the picture are {colours.name}, and its levels went to the model "
                f"unconverted, as Keras and OpenCV read them{off}; convert the picture to sRGB if "
                "the model should see the colours that you see"
            )
            yield _warning(
                WarningCode.OTHER_COLOURS, detail, value=shift, limit=shift and MOST_SHIFTED
            )
    brightest = int(picture.pixels.max())
    if picture.deep and brightest < LEAST_LEVELS:
        detail = (
            f"the brightest level of the picture is {brightest} of 255, scaled from more than 8 "
            "bits; if the picture uses only some of its bits, such as 12 of 16 by a camera, "
            "multiply its levels so that white is the largest number"
        )
        yield _warning(WarningCode.FEW_LEVELS, detail, value=brightest, limit=LEAST_LEVELS)


def _warning(
    code: WarningCode,
    detail: str,
    *,
    output: int | None = None,
    value: float | None = None,
    limit: float | None = None,
) -> ResultWarning:
    return ResultWarning(code=code, detail=detail, output=output, value=value, limit=limit)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
