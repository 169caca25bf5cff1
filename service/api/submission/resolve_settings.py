"""Resolves settings: chooses the model, fills in the defaults, checks every setting."""

import difflib
from bisect import bisect_right
from collections.abc import Sequence

from service.api.http.problems import ApiError, invalid_setting
from service.api.submission.evaluation_budget import (
    REGION_KINDS,
    PlayerCount,
    check_interactions,
    check_players,
    count_players,
    evaluation_budget,
)
from service.api.submission.methods import METHODS, OWN_SETTINGS, methods_taking
from service.api.submission.served_models import (
    check_classes,
    check_pin,
    find_card,
    find_compared,
    requested_name,
    unavailable,
)
from service.images.model_view import model_view
from service.jobs.result_size import Shape, count_classes, count_numbers, max_outputs
from service.schemas.documents import ErrorCode, LabelMapInfo
from service.schemas.masker_setting import MAX_KERNEL, MAX_LEVEL, parse_masker
from service.schemas.models import ModelCard, ModelStatus
from service.schemas.requests import (
    ExplanationSettings,
    Fit,
    Grid,
    Outputs,
    Pixels,
    ResolvedSettings,
    Slic,
    Superpixels,
)

DEFAULT_TOP = 4
MIN_SEGMENTS = 2  # least segments of SLIC


def resolve_settings(
    settings: ExplanationSettings,
    cards: Sequence[ModelCard],
    *,
    max_evals: int,
    max_values: int,
    label_map: LabelMapInfo | None = None,
) -> tuple[ResolvedSettings, ModelCard, ModelCard | None]:
    """Returns the complete settings, without true labels, and the cards of the model and of the
    one that it is compared with, if any. Raises ApiError.
    """
    card = find_card(requested_name(settings.model), cards)
    if card.status is not ModelStatus.AVAILABLE or not card.output_count or not card.input_shape:
        raise unavailable(card)
    shape = card.input_shape
    fit = _fit(settings.fit, card)
    check_pin(settings.model, card, fit)
    compared = find_compared(settings.compare_with, cards, card, fit)
    _check_masker(settings.masker, shape[2])
    for name in sorted(OWN_SETTINGS - METHODS[settings.method].own):
        default, received = ExplanationSettings.model_fields[name].default, getattr(settings, name)
        earlier = ResolvedSettings.model_fields[name].default
        if received not in (default, earlier):  # documents show one of these, so it is accepted
            taking = " and ".join(methods_taking(name))
            said = f"{settings.method} does not take this setting; methods that take it: {taking}"
            raise invalid_setting(name, said, received, [default])
    superpixels = _superpixels(settings, shape)
    players = count_players(superpixels, shape, label_map, fit)
    check_players(settings.method, players)
    if settings.interactions == 2:
        if settings.solution_concept == "owen":
            said = "interactions are of Shapley values, not of the Owen values of a tree"
            raise invalid_setting("interactions", said, 2, [1])
        check_interactions(superpixels, players)
    outputs = resolve_outputs(settings.outputs, card)
    if compared:
        check_classes(outputs, card, compared)
    chosen = {
        "model": card.name,
        "compare_with": compared.name if compared else None,
        "fit": fit,
        "superpixels": superpixels,
        "outputs": outputs,
        "max_evals": evaluation_budget(settings, players, limit=max_evals),
        "true_label": None,  # of each picture: see true_labels.py
    }
    given = {name: value for name, value in settings if name in ExplanationSettings.model_fields}
    resolved = ResolvedSettings.model_validate(given | chosen)
    _check_size(resolved, settings.outputs, shape, players, max_values)
    return resolved, card, compared


# --- Fit


def _fit(wanted: Fit | None, card: ModelCard) -> Fit:
    """Returns the requested fit or the model's default. Raises ApiError if it is not allowed."""
    if wanted is None or wanted in card.fits:
        return wanted or card.fit
    said = f"the model {card.name} does not allow {wanted}; it allows {', '.join(card.fits)}"
    raise invalid_setting("fit", said, wanted, card.fits)


# --- Method and superpixels


def _superpixels(settings: ExplanationSettings, shape: Shape) -> Superpixels:
    """Returns the requested superpixels, or the method's default. Raises ApiError.

    shape: (H, W, C) of the model's input, which may have fewer pixels than default segments.
    """
    rows, columns, _ = shape
    requested = settings.superpixels
    if isinstance(requested, Grid):
        for name, received, most in (
            ("rows", requested.rows, rows),
            ("columns", requested.columns, columns),
        ):
            if received > most:
                said = f"the model's input has {most} {name} of pixels"
                bounds = {"minimum": 1, "maximum": most}
                raise invalid_setting(f"superpixels.{name}", said, received, bounds)
    if requested is not None:
        return requested
    default, pixels = METHODS[settings.method].superpixels, rows * columns
    if not isinstance(default, Slic) or default.segments <= pixels:
        return default
    if pixels < MIN_SEGMENTS:
        return Pixels(kind="pixels", channels="together")
    return default.model_copy(update={"segments": pixels})


def check_regions(
    superpixels: Superpixels, photo: tuple[int, int], shape: Shape, fit: Fit, name: str
) -> None:
    """Raises ApiError if the photo (H, W), once placed, is too small for the regions."""
    h, w = model_view(photo, shape[:2], fit=fit).size
    said = f"with fit {fit} the model sees {w} x {h} pixels of {name}"
    if isinstance(superpixels, Grid) and (superpixels.rows > h or superpixels.columns > w):
        received = {"rows": superpixels.rows, "columns": superpixels.columns}
        most = {"rows": {"maximum": h}, "columns": {"maximum": w}}
        raise invalid_setting("superpixels", said, received, most)
    if isinstance(superpixels, Slic) and superpixels.segments > h * w:
        bounds = {"minimum": 2, "maximum": h * w}
        raise invalid_setting("superpixels.segments", said, superpixels.segments, bounds)


# --- Masker


def _check_masker(masker: str, channels: int) -> None:
    """Checks what the schema's pattern cannot: bounds, and the model's channels."""
    parsed = parse_masker(masker)
    kind, numbers = parsed.kind, parsed.numbers
    if kind.startswith("inpaint") and channels not in (1, 3):
        said = f"{kind} needs an input of 1 or 3 channels; the model's has {channels}"
        raise invalid_setting("masker", said, masker, ["blur(kx,ky)", "mean", "constant(v)"])
    if kind == "blur" and max(numbers) > MAX_KERNEL:
        said = f"a kernel may be at most {MAX_KERNEL} pixels wide and high"
        kernel = {"minimum": 1, "maximum": MAX_KERNEL}
        raise invalid_setting("masker", said, masker, {"kernel": kernel})
    if kind == "constant" and (len(numbers) not in (1, channels) or max(numbers) > MAX_LEVEL):
        levels = {"minimum": 0, "maximum": MAX_LEVEL}
        accepted = {"numbers": sorted({1, channels}), "each": levels}
        said = f"constant takes one number or {channels}, one a channel, each in 0..{MAX_LEVEL}"
        raise invalid_setting("masker", said, masker, accepted)


# --- Outputs


def resolve_outputs(
    wanted: Outputs | None, card: ModelCard, *, under: str = "settings.outputs"
) -> Outputs:
    """Checks the outputs against the model; replaces labels by indices. Raises ApiError.

    under: their path in the request.
    """
    count = card.output_count or 0
    if wanted is None:
        return Outputs(top=min(DEFAULT_TOP, count))
    said = f"the model has {count} outputs"
    if wanted.top is not None and wanted.top > count:
        raise unknown_output(f"{under}.top", said, wanted.top, {"minimum": 1, "maximum": count})
    for index in wanted.indices or []:
        if index >= count:
            bounds = {"minimum": 0, "maximum": count - 1}
            raise unknown_output(f"{under}.indices", said, index, bounds)
    if wanted.labels is not None:
        return Outputs(
            indices=[index_of(label, card.labels, f"{under}.labels") for label in wanted.labels]
        )
    return wanted


def index_of(label: str, labels: list[str] | None, field: str) -> int:
    if not labels:
        said = "the model has no labels; name outputs by index"
        raise unknown_output(field, said, label, ["indices"])
    indices = [index for index, known in enumerate(labels) if known == label]
    if not indices:
        near = difflib.get_close_matches(label[:100], list(dict.fromkeys(labels)), n=5)
        said = f"no output is called {label[:100]!r}"
        raise unknown_output(field, said, label, {"nearest": near})
    if len(indices) > 1:
        said = f"several outputs are called {label!r}; select one by index"
        raise unknown_output(field, said, label, {"indices": indices})
    return indices[0]


def _check_size(
    settings: ResolvedSettings,
    requested: Outputs | None,
    shape: Shape,
    players: PlayerCount,
    limit: int,
) -> None:
    """Raises ApiError if the explanation would hold too many numbers in memory."""
    numbers = count_numbers(settings, shape, players.count)
    if numbers <= limit:
        return
    most = max_outputs(settings, shape, players.count, limit=limit)
    name = next(name for name, given in requested or settings.outputs if given is not None)
    said = f"an explanation may hold {limit} numbers in memory; this one would hold {numbers}"
    if most:
        bound = {"maximum": most} if name == "top" else {"maxItems": most}
        received = count_classes(settings)
        raise invalid_setting(f"outputs.{name}", f"{said}: request fewer outputs", received, bound)
    said = f"{said}, even with one output: request fewer evaluations, or another method"

    def numbers_of_one(evaluations: int) -> int:
        reduced = {"max_evals": evaluations, "outputs": Outputs(top=1)}
        return count_numbers(settings.model_copy(update=reduced), shape, players.count)

    fitting = bisect_right(range(settings.max_evals), limit, key=numbers_of_one) - 1
    bounds = {"maximum": fitting, "superpixels": REGION_KINDS}
    raise invalid_setting("max_evals", said, settings.max_evals, bounds)


def unknown_output(field: str, said: str, received: str | int, accepted: object) -> ApiError:
    return ApiError(ErrorCode.UNKNOWN_OUTPUT, f"{field}: {said}", field, received, accepted)
