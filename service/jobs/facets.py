"""Facets: the properties of an explanation by which the list is filtered.

Each facet and value has a sorted set in Redis: `index.lua` writes them, `walk.lua` reads them. The
hash of an explanation names its sets in the field `facets`, as words FACET:VALUE. A value is the
beginning of a SHA-256, as clients choose what it stands for; a status stands as it is, since
scripts write it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from service.jobs.records import JobSpec, State
from service.schemas.documents import Status
from service.schemas.fingerprint import ModelRef
from service.schemas.masker_setting import parse_masker
from service.schemas.results import Outcome

MAX_METADATA = 16  # entries of an explanation's metadata in the index
MAX_METADATA_KEY, MAX_METADATA_VALUE = 64, 256  # characters of such an entry

Facets = Mapping[str, Sequence[str]]  # facet -> values


def facets_of_spec(status: Status, spec: JobSpec) -> Facets:
    return {
        "status": [status.value],
        **_of_model(spec.model),
        "method": [spec.settings.method],
        "masker": [masker_value(spec.settings.masker)],
        "picture": [spec.image.sha256],
        "batch": [spec.batch] if spec.batch else [],
        "metadata": _indexed(spec.settings.metadata),
    }


def facets_of_outcome(outcome: Outcome) -> Facets:
    """Return the facets that a result adds, and those that it replaces."""
    top = outcome.top
    return {
        **_of_model(outcome.model),
        "label": list(dict.fromkeys([top.label, str(top.index)])) if top else [],
        "warning": list(dict.fromkeys(warning.code.value for warning in outcome.warnings)),
    }


def facets_of_state(state: State) -> Facets:
    """Return all facets of an explanation that has not expired."""
    of_spec = facets_of_spec(state.status, state.spec) if state.spec else {}
    of_outcome = facets_of_outcome(state.outcome) if state.outcome else {}
    return {**of_spec, **of_outcome}


def _of_model(model: ModelRef) -> Facets:
    """Return the facets of a model; one without a fingerprint is found by its name alone."""
    return {
        "model": [model.name],
        "fingerprint": [model.fingerprint] if model.fingerprint else [],
    }


def in_words(facets: Facets) -> str:
    return " ".join(word(name, value) for name, values in facets.items() for value in values)


def word(facet: str, value: str) -> str:
    if facet != "status":
        value = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{facet}:{value}"


def masker_value(masker: str) -> str:
    """Return the same text for all spellings of a masker."""
    setting = parse_masker(masker)
    return " ".join([setting.kind, *map(str, setting.numbers)])


def metadata_value(key: str, text: str) -> str:
    return json.dumps([key, text])


def _indexed(metadata: Mapping[str, JsonValue]) -> list[str]:
    """Return the values of the first short entries that are text, numbers, booleans or null."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
        if not isinstance(value, list | dict)
    }
    return [
        metadata_value(key, text)
        for key, text in texts.items()
        if len(key) <= MAX_METADATA_KEY and len(text) <= MAX_METADATA_VALUE
    ][:MAX_METADATA]
