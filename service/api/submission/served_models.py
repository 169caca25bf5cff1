"""The models that requests name: their cards, and whether a live worker serves them."""

from collections.abc import Mapping, Sequence

from service.api.http.problems import ApiError, invalid_setting, retry_after
from service.schemas.classes import is_unlabelled, match_classes
from service.schemas.documents import ErrorCode
from service.schemas.fingerprint import model_ref
from service.schemas.models import ModelCard, ModelStatus
from service.schemas.requests import Fit, Outputs, PinnedModel

LOADING_RETRY_S = 5  # seconds of Retry-After while a model is loading
COMPARED = "compare_with"
MOST_NAMED = 10  # classes in a problem


def requested_name(model: str | PinnedModel | None) -> str | None:
    return model.name if isinstance(model, PinnedModel) else model


def check_served(
    name: str | None, used: ModelCard, cards: Sequence[ModelCard], *, setting: str = "model"
) -> None:
    """Raises ApiError unless a worker serves the named or default model, or is loading it.

    used: its card when a worker last served it. A loading model counts only if its entry in the
    models file is unchanged since: a worker never explains with another model.
    """
    card = find_card(name, cards, setting=setting)
    unchanged = (
        card.input_shape in (None, used.input_shape)
        and card.preprocessing == used.preprocessing
        and card.fit == used.fit
        and card.fits == used.fits
    )
    loading = card.status is ModelStatus.LOADING and unchanged
    if card.status is not ModelStatus.AVAILABLE and not loading:
        raise unavailable(card, setting=setting)


def no_worker_problem() -> ApiError:
    detail = "no worker is alive; nothing can be explained until one starts"
    return ApiError(ErrorCode.NO_WORKER, detail, headers=retry_after(LOADING_RETRY_S))


def find_card(name: str | None, cards: Sequence[ModelCard], *, setting: str = "model") -> ModelCard:
    """Returns the card of that name, or of the default model. Raises ApiError.

    Never substitutes another model for the default one: the numbers would differ.
    """
    if not cards:
        raise no_worker_problem()
    names = [card.name for card in cards]
    field, known = f"settings.{setting}", f"known models: {', '.join(names)}"
    if name is None and not cards[0].default:
        detail = f"no worker serves the default model; {known}"
        headers = retry_after(LOADING_RETRY_S)
        raise ApiError(ErrorCode.MODEL_UNAVAILABLE, detail, field, None, names, headers)
    if name is None:
        return cards[0]
    if name not in names:
        detail = f"there is no model {name!r}; {known}"
        raise ApiError(ErrorCode.UNKNOWN_MODEL, detail, field, name, names)
    return cards[names.index(name)]


def check_pin(
    model: str | PinnedModel | None, card: ModelCard, fit: Fit, *, setting: str = "model"
) -> None:
    """Raises ApiError if the request pins a fingerprint that the model does not have.

    The model has the fingerprint of its card, and that of explanations with this fit.
    """
    if not isinstance(model, PinnedModel):
        return
    used = model_ref(card.name, card.parts, fit).fingerprint
    if model.fingerprint not in (card.fingerprint, used):
        detail = (
            f"the model served as {card.name} is not the pinned one; its card shows its fingerprint"
        )
        field = f"settings.{setting}.fingerprint"
        raise ApiError(ErrorCode.MODEL_CHANGED, detail, field, model.fingerprint, used)


def unavailable(card: ModelCard, *, setting: str = "model") -> ApiError:
    reason = card.reason or f"it is {card.status.value}"
    headers = retry_after(LOADING_RETRY_S) if card.status is ModelStatus.LOADING else None
    return ApiError(
        ErrorCode.MODEL_UNAVAILABLE,
        f"the model {card.name} cannot be used: {reason}",
        f"settings.{setting}",
        card.name,
        headers=headers,
    )


# --- Comparing two


def find_compared(
    wanted: str | PinnedModel | None, cards: Sequence[ModelCard], card: ModelCard, fit: Fit
) -> ModelCard | None:
    """Returns the card of the model to compare with, if any. Raises ApiError.

    card, fit: of the model, whose fitted pictures both get.
    """
    name = requested_name(wanted)
    if name is None:
        return None
    other = find_card(name, cards, setting=COMPARED)
    if other.status is not ModelStatus.AVAILABLE or not (other.input_shape and card.input_shape):
        raise unavailable(other, setting=COMPARED)
    names = [each.name for each in cards if each.name != card.name]
    if other.name == card.name:
        said = f"a model is compared with another; {name} is the model itself"
        raise invalid_setting(COMPARED, said, name, names)
    channels, expected = other.input_shape[2], card.input_shape[2]
    if channels != expected:
        said = (
            f"{name} takes pictures of {channels} channels and {card.name} of {expected}; both get "
            "the same pictures"
        )
        fitting = [each.name for each in cards if (each.input_shape or ())[2:] == (expected,)]
        raise invalid_setting(COMPARED, said, name, [each for each in fitting if each in names])
    if fit not in other.fits:
        said = f"{name} does not allow the fit {fit}, by which both get the picture"
        common = [each for each in card.fits if each in other.fits]
        raise invalid_setting("fit", said, fit, common)
    check_pin(wanted, other, fit, setting=COMPARED)
    return other


def check_classes(outputs: Outputs, card: ModelCard, compared: ModelCard) -> None:
    """Raises ApiError unless the compared model has the class of every output to be explained.

    Which outputs score highest is not known beforehand, so with `top` it must have all classes.
    """
    labels, others = (
        each.labels or [str(place) for place in range(each.output_count or 0)]
        for each in (card, compared)
    )
    places = match_classes(labels, others)
    wanted = range(len(places)) if outputs.indices is None else outputs.indices
    missing = [labels[index] for index in wanted if places[index] is None]
    if not missing:
        return
    if is_unlabelled(labels) or is_unlabelled(others):
        said = (
            f"{card.name} has {len(labels)} outputs and {compared.name} {len(others)}, and without "
            "labels of both nothing tells which class is which"
        )
        raise invalid_setting(COMPARED, said, compared.name, None)
    named = ", ".join(map(repr, missing[:MOST_NAMED]))
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    common = [labels[index] for index, place in enumerate(places) if place is not None]
    said = f"{compared.name} has no class, or several, called {named}{more}"
    if common and outputs.indices is None:
        said += "; name outputs that both have"
    raise invalid_setting(COMPARED, said, compared.name, {"outputs": common[:MOST_NAMED]})


def check_together(
    names: Sequence[str], workers: Mapping[str, Sequence[ModelCard]], *, setting: str
) -> None:
    """Raises ApiError unless one live worker serves, or is loading, all of these models."""
    for cards in workers.values():
        usable = {card.name for card in cards if card.status is not ModelStatus.UNAVAILABLE}
        if usable.issuperset(names):
            return
    detail = f"no live worker serves both {' and '.join(names)}; one must, to compare them"
    headers = retry_after(LOADING_RETRY_S)
    raise ApiError(
        ErrorCode.MODEL_UNAVAILABLE, detail, f"settings.{setting}", names[-1], headers=headers
    )
