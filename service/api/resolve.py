"""Settings as sent -> settings as they will be carried out: the model found, nothing left open."""

import difflib
import re
from collections.abc import Sequence

from service.api.errors import ApiError, retry_after
from service.contract.schema import (
    ErrorCode,
    ExplanationSettings,
    ModelCard,
    ModelRef,
    ModelStatus,
    Outputs,
    ResolvedSettings,
)

DEFAULT_TOP = 4
LARGEST_KERNEL = 4096  # pixels
LOADING_S = 5  # a model that is loading is worth asking for again after so long


def resolve(
    settings: ExplanationSettings, cards: Sequence[ModelCard], *, max_evals: int
) -> tuple[ResolvedSettings, ModelRef]:
    """What to compute and with which model. Raises ApiError."""
    card = _available(find_card(settings.model, cards))
    if settings.max_evals > max_evals:
        raise _invalid("max_evals", settings.max_evals, {"minimum": 2, "maximum": max_evals})
    _check_masker(settings.masker, card.input_shape[2] if card.input_shape else 3)
    chosen = {"model": card.name, "outputs": _outputs(settings.outputs, card)}
    resolved = ResolvedSettings.model_validate(dict(settings) | chosen)
    return resolved, ModelRef(name=card.name, digest=card.digest)


def find_card(name: str | None, cards: Sequence[ModelCard]) -> ModelCard:
    """The card of that name, or the default one. Raises ApiError."""
    if not cards:
        raise no_worker()
    names = [card.name for card in cards]
    if name is None:
        return _default(cards, names)
    if name not in names:
        detail = f"there is no model {name!r}; there are {', '.join(names)}"
        raise ApiError(ErrorCode.UNKNOWN_MODEL, detail, "settings.model", name, list(names))
    return cards[names.index(name)]


def _default(cards: Sequence[ModelCard], names: list[str]) -> ModelCard:
    """Never another model in its place: the numbers would not be those asked for."""
    if cards[0].default:
        return cards[0]
    detail = f"no worker serves the default model; there are {', '.join(names)}"
    raise ApiError(
        ErrorCode.MODEL_UNAVAILABLE, detail, "settings.model", None, names, retry_after(LOADING_S)
    )


def no_worker() -> ApiError:
    detail = "no worker is alive; nothing can be explained until one is"
    return ApiError(ErrorCode.NO_WORKER, detail, headers=retry_after(LOADING_S))


def _available(card: ModelCard) -> ModelCard:
    if card.status is ModelStatus.AVAILABLE and card.output_count:
        return card
    reason = card.reason or f"it is {card.status.value}"
    headers = retry_after(LOADING_S) if card.status is ModelStatus.LOADING else None
    raise ApiError(
        ErrorCode.MODEL_UNAVAILABLE,
        f"the model {card.name} cannot be used: {reason}",
        "settings.model",
        card.name,
        headers=headers,
    )


# --- Masker


def _check_masker(masker: str, channels: int) -> None:
    """What the pattern in the contract cannot say: bounds, and what suits the model's pictures."""
    name = masker.partition("(")[0]
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", masker)]
    if name.startswith("inpaint") and channels not in (1, 3):
        raise _invalid("masker", masker, ["blur(kx,ky)", "mean", "constant(v)"])
    if name == "blur" and max(numbers) > LARGEST_KERNEL:
        raise _invalid("masker", masker, {"kernel": {"minimum": 1, "maximum": LARGEST_KERNEL}})
    if name == "constant" and (len(numbers) not in (1, channels) or max(numbers) > 255):
        levels = {"numbers": sorted({1, channels}), "each": {"minimum": 0, "maximum": 255}}
        raise _invalid("masker", masker, levels)


def _invalid(field: str, received: str | int, accepted: object) -> ApiError:
    detail = f"settings.{field} is {received}; accepted are {accepted}"
    return ApiError(
        ErrorCode.INVALID_SETTINGS,
        detail,
        f"settings.{field}",
        received,
        accepted,
    )


# --- Outputs


def _outputs(wanted: Outputs | None, card: ModelCard) -> Outputs:
    """Within what the model has; labels become the indices they stand for."""
    count = card.output_count or 0
    if wanted is None:
        return Outputs(top=min(DEFAULT_TOP, count))
    if wanted.top is not None and wanted.top > count:
        raise _unknown("top", wanted.top, {"minimum": 1, "maximum": count})
    for index in wanted.indices or []:
        if index >= count:
            raise _unknown("indices", index, {"minimum": 0, "maximum": count - 1})
    if wanted.labels is not None:
        return Outputs(indices=[_index_of(label, card.labels) for label in wanted.labels])
    return wanted


def _index_of(label: str, labels: list[str] | None) -> int:
    if not labels:
        raise _unknown("labels", label, "indices: the model has no labels")
    indices = [index for index, known in enumerate(labels) if known == label]
    if not indices:
        near = difflib.get_close_matches(label[:100], set(labels), n=5)
        raise _unknown("labels", label, {"nearest": near})
    if len(indices) > 1:
        raise _unknown("labels", label, {"indices": indices}, "names several outputs")
    return indices[0]


def _unknown(
    name: str, received: str | int, accepted: object, what: str = "is not an output of the model"
) -> ApiError:
    return ApiError(
        ErrorCode.UNKNOWN_OUTPUT,
        f"{str(received)[:100]!r} {what}; accepted are {accepted}",
        f"settings.outputs.{name}",
        received,
        accepted,
    )
