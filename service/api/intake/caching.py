"""What the same request gave before, for whoever asks again; unless `Cache-Control` says otherwise.

The same are two requests of one owner with the same bytes, the same settings but for metadata and
priority, and a model of which all is the same that shows in the numbers or their names.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from enum import StrEnum

from fastapi import Request

from service.api.services import Services
from service.api.version import version
from service.contract.cards import ModelCard
from service.contract.records import State
from service.contract.request import ResolvedSettings
from service.contract.schema import LabelMapInfo
from service.contract.store import (
    MissingArtefact,
    attributions_key,
    faithfulness_key,
    image_key,
    label_map_key,
)

OF_THE_MODEL = {
    *("digest", "input_shape", "labels", "value_range", "preprocessing", "fit"),
    *("backend", "device", "dtype"),
}
TIMING = {"metadata", "priority"}  # settings that change no number


class Caching(StrEnum):
    """What a request's `Cache-Control` asks for."""

    USE = ""
    RENEW = "no-cache"  # compute anew
    AVOID = "no-store"  # compute anew, and give the result to nobody else

    @classmethod
    def of(cls, request: Request) -> "Caching":
        said = ",".join(request.headers.getlist("cache-control")).lower().split(",")
        directives = {directive.strip() for directive in said}
        return next((each for each in (cls.AVOID, cls.RENEW) if each in directives), cls.USE)


def key_of_request(
    image: str,
    label_map: LabelMapInfo | None,
    settings: ResolvedSettings,
    card: ModelCard,
    owner: str | None,
) -> str:
    """Equal for requests with the same answer. image: its sha256."""
    same = {
        "version": version(),
        "owner": owner,
        "image": image,
        "label_map": label_map.sha256 if label_map else None,
        "settings": settings.model_dump(mode="json", exclude=TIMING),
        "model": card.model_dump(mode="json", include=OF_THE_MODEL),
    }
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def take_over(services: Services, earlier: State, id_: str) -> bool:
    """Give an explanation the artefacts of an earlier one; False where they are not all there."""
    try:
        for key in _artefacts(earlier):
            services.store.copy(key, key.replace(earlier.id, id_))
    except MissingArtefact:
        services.ledger.withdraw(earlier.id)
        return False
    return True


def _artefacts(state: State) -> Iterator[str]:
    yield image_key(state.id)
    if state.order and state.order.label_map:
        yield label_map_key(state.id)
    if state.result:
        yield attributions_key(state.id, state.result)
    if state.result and state.outcome and state.outcome.metrics:
        yield faithfulness_key(state.id, state.result)


def cache_status(states: Collection[State], caching: Caching) -> dict[str, str]:
    """The header of RFC 9211: whether earlier results answer, and if not, or not all, why."""
    hits = [state.cached_from is not None for state in states]
    if all(hits):
        return {"Cache-Status": "Shapshot; hit"}
    missed = "partial" if any(hits) else "miss"
    why = missed if caching is Caching.USE else "request"
    return {"Cache-Status": f"Shapshot; fwd={why}"}
