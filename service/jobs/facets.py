"""Facets: the properties of an explanation by which the list is filtered.

Each facet and value has a sorted set in Redis: `index.lua` writes them, `walk.lua` reads them. The
hash of an explanation names its sets in the field `facets`, as words FACET:VALUE. A value is the
beginning of a SHA-256, as clients choose what it stands for; those of STATED stand as they are.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from service.jobs.records import JobSpec, State
from service.schemas.documents import Status
from service.schemas.keeping import LastReview
from service.schemas.masker_setting import parse_masker
from service.schemas.results import Outcome

STATED = ("status", "review", "held")  # facets with few values, which scripts may write
MAX_METADATA = 16  # entries of an explanation's metadata in the index
MAX_METADATA_KEY, MAX_METADATA_VALUE = 64, 256  # characters of such an entry
MAX_NAME_WORDS = 12  # words of a file name in the index
_NAME_WORD = re.compile(r"[^\W\d_]+|\d+")  # "IMG_12a.jpg": img, 12, a, jpg

Facets = Mapping[str, Sequence[str]]  # facet -> values


def facets_of(status: Status, spec: JobSpec, outcome: Outcome | None = None) -> Facets:
    """Return the facets of request and result; outcome: the result, if there is one."""
    model = outcome.model if outcome else spec.model
    top, truth = outcome.top if outcome else None, spec.true_label
    correct = spec.correct(outcome) if outcome else None
    return {
        "status": [status.value],
        "model": [model.name],  # one without a fingerprint is found by its name alone
        "fingerprint": [model.fingerprint] if model.fingerprint else [],
        "method": [spec.settings.method],
        "masker": [masker_value(spec.settings.masker)],
        "picture": [spec.image.sha256],
        "name": name_words(spec.image.name or "")[:MAX_NAME_WORDS],
        "batch": [spec.batch] if spec.batch else [],
        "metadata": _indexed(spec.settings.metadata),
        "label": list(dict.fromkeys([top.label, str(top.index)])) if top else [],
        "truth": list(dict.fromkeys([truth.label, str(truth.index)])) if truth else [],
        "correct": [json.dumps(correct)],
        "warning": list(dict.fromkeys(each.code.value for each in outcome.warnings))
        if outcome
        else [],
    }


def review_facets(last: LastReview | None) -> Facets:
    """Return the facet of the last review; people add it, apart from request and result."""
    return {"review": [last.verdict.value if last else "none"]}


def facets_of_state(state: State) -> Facets:
    """Return all facets of an explanation; none if it has expired."""
    if state.spec is None:
        return {}
    found = facets_of(state.status, state.spec, state.outcome)
    held = {"held": ["true"]} if state.hold else {}
    return {**found, **review_facets(state.review), **held}


def in_words(facets: Facets) -> str:
    return " ".join(word(name, value) for name, values in facets.items() for value in values)


def word(facet: str, value: str) -> str:
    if facet not in STATED:
        value = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{facet}:{value}"


def masker_value(masker: str) -> str:
    """Return the same text for all spellings of a masker."""
    setting = parse_masker(masker)
    return " ".join([setting.kind, *map(str, setting.numbers)])


def name_words(name: str) -> list[str]:
    """Return the words and numbers of a file name, each once, in small letters."""
    return list(dict.fromkeys(_NAME_WORD.findall(unicodedata.normalize("NFKC", name).casefold())))


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
