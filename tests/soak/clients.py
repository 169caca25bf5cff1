"""Clients of the soak; each HTTP call and its answer are written into the history."""

import hashlib
import io
import json
import random
import re
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx
import numpy as np

from tests.chaos.service_harness import QUICK, URL, photo
from tests.soak.history import History

Event = dict[str, Any]

PAGE = 25  # of a list; limited by the length of a line in the history
TIMEOUT_S = 15


@dataclass(frozen=True)
class Input:
    """An input of an explanation: equal inputs have equal results."""

    model: str
    picture: int  # the seed of its noise
    max_evals: int

    def __str__(self) -> str:
        return f"{self.model}/{self.picture}/{self.max_evals}"

    @cached_property
    def file(self) -> bytes:
        return photo(self.picture)

    def settings(self, token: str) -> dict[str, Any]:
        """token: distinguishes this request from all others."""
        mine = {"model": self.model, "max_evals": self.max_evals, "metadata": {"token": token}}
        return QUICK | mine


INPUTS = [
    *(Input("sleeper", n % 2, 8 * (1 + 2 * n)) for n in range(8)),
    *(Input("dozer", n % 3, 8 * (1 + n)) for n in range(16)),
]


@dataclass
class Known:
    """An explanation that some client knows."""

    id: str
    token: str
    input: Input | None  # None if known only from a list
    done: bool = False
    fetched: bool = False  # whether its result was fetched


class Pool:
    """The known explanations that are not deleted, the oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}

    def add(self, known: Known) -> None:
        with self._lock:
            self._known.setdefault(known.id, known)

    def remove(self, explanation_id: str) -> None:
        with self._lock:
            self._known.pop(explanation_id, None)

    @property
    def all(self) -> list[Known]:
        with self._lock:
            return list(self._known.values())

    def __getitem__(self, explanation_id: str) -> Known:
        return self._known[explanation_id]

    def __len__(self) -> int:
        return len(self._known)


class Client:
    """Makes the calls of one client, one after the other; each returns the answer, if any."""

    def __init__(self, address: httpx.URL, history: History, pool: Pool) -> None:
        self._http = httpx.Client(base_url=address, timeout=TIMEOUT_S)
        self._history = history
        self.pool = pool
        self.heard = True  # whether the last call was answered

    def close(self) -> None:
        self._http.close()

    def submit(self, what: Input, token: str, *, keyed: bool, cached: bool) -> Event:
        """Submit once; return the answer. keyed: the token is its Idempotency-Key."""
        headers = {"Idempotency-Key": token} if keyed else {}
        headers |= {} if cached else {"Cache-Control": "no-cache"}
        body = {
            "image": ("photo.png", what.file),
            "settings": (None, json.dumps(what.settings(token))),
        }
        asked = {"token": token, "input": str(what), "keyed": keyed, "cached": cached}
        told = self._call("submit", asked, "POST", URL, files=body, headers=headers)
        if "id" in told:
            self.pool.add(Known(told["id"], token, what))
        return told

    def read(self, known: Known) -> None:
        told = self._of(known, "read", "GET", "")
        known.done = known.done or told.get("status") in ("succeeded", "failed", "canceled")
        if known.done and not told.get("result", True):
            known.fetched = True  # there is nothing to fetch

    def fetch(self, known: Known) -> None:
        """Fetch the result, if there is one."""
        told = self._of(known, "fetch", "GET", "/attributions", params={"format": "npz"})
        if told.get("http") in (200, 404):
            known.fetched = True

    def cancel(self, known: Known) -> None:
        self._of(known, "cancel", "POST", "/cancel")

    def delete(self, known: Known) -> None:
        if self._of(known, "delete", "DELETE", "").get("http") == 204:
            self.pool.remove(known.id)

    def walk(self, name: str | None = None) -> bool:
        """List the newest, or with the name of a walk all pages; return whether it was completed.

        Listed explanations that were unknown become known.
        """
        cursor: str | None = None
        while True:
            asked = {"walk": name, "first": cursor is None} if name else {}
            params = {"limit": PAGE, **({"cursor": cursor} if cursor else {})}
            told = self._call("list", asked, "GET", URL, params=params)
            for explanation_id, _, token in told.get("items", []):
                self.pool.add(Known(explanation_id, token, None))
            cursor = told.get("cursor")
            if not (name and cursor):
                return told.get("http") == 200

    def _of(self, known: Known, op: str, method: str, path: str, **options: Any) -> Event:
        return self._call(op, {"id": known.id}, method, f"{URL}/{known.id}{path}", **options)

    def _call(self, op: str, asked: Event, method: str, path: str, **options: Any) -> Event:
        try:
            with self._history.call(op, **asked) as told:
                told |= _told(self._http.request(method, path, **options))
                self.heard = True
                return told
        except httpx.HTTPError:
            self.heard = False
            return {}


def open_after(told: Event) -> bool:
    """Return whether the outcome of a request is still unknown after this answer."""
    return bool(told.get("http", 503) >= 500)


def _told(answer: httpx.Response) -> Event:
    """Return the part of a response that goes into the history."""
    told: Event = {"http": answer.status_code}
    kind = answer.headers.get("content-type", "")
    if kind == "application/x-npz":
        attempt = answer.headers["etag"].removeprefix('W/"').partition(".")[0]
        return told | {"attempt": attempt, "sha256": _digest_of_arrays(answer.content)}
    if not answer.content:
        return told
    document = answer.json()
    if "json" not in kind or not answer.is_success:
        return told | {"code": document.get("code")}
    if "items" in document:
        items = [[e["id"], e["status"], _token(e)] for e in document["items"]]
        return told | {"items": items, "cursor": document["next_cursor"]}
    return told | {
        "id": document["id"],
        "status": document["status"],
        "version": int(re.sub(r"\D", "", answer.headers["etag"])),
        "token": _token(document),
        "attempts": document["attempts"],
        "result": "attributions" in document["links"],
        "partial": document["partial"],
        "error": (document["error"] or {}).get("code"),
        "cached_from": document["cached_from"],
        "digest": hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16],
    }


def _token(document: Event) -> str | None:
    return (document["settings"]["metadata"] or {}).get("token")


def _digest_of_arrays(npz: bytes) -> str:
    """Digest names, types, shapes and values: the same arrays may be compressed differently."""
    digest = hashlib.sha256()
    with np.load(io.BytesIO(npz), allow_pickle=False) as arrays:
        for name in sorted(arrays):
            digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape} ".encode())
            digest.update(arrays[name].tobytes())
    return digest.hexdigest()


class SimulatedUser:
    """Uses a client as people do, at random: submits, polls, fetches, cancels, deletes.

    It repeats a request with a key until that is answered, and learns of all others from lists.
    """

    KEEPS = 40  # explanations; beyond it, the oldest finished ones are deleted

    def __init__(self, name: str, client: Client, seed: str) -> None:
        self._name, self._client, self._pool = name, client, client.pool
        self._chance = random.Random(seed)  # noqa: S311 - not for secrets
        self._asked = 0
        self._owing: tuple[Input, str, bool] | None = None  # a request without an answer yet

    def act(self) -> bool:
        """Make a call or two; return whether the last was answered."""
        action = self._chance.choices(
            [self._ask, self._look, self._cancel, self._list, self._tidy], [20, 60, 4, 6, 20]
        )[0]
        action()
        return self._client.heard

    def _ask(self) -> None:
        chance = self._chance
        what, cached = chance.choice(INPUTS), chance.random() < 0.25
        keyed = chance.random() < 0.5
        token = f"{self._name}-{self._asked}"
        if self._owing:
            (what, token, cached), keyed = self._owing, True
        else:
            self._asked += 1
        told = self._client.submit(what, token, keyed=keyed, cached=cached)
        again = keyed and (open_after(told) or chance.random() < 0.1)
        self._owing = (what, token, cached) if again else None

    def _look(self) -> None:
        if not (known := self._pool.all):
            return
        recent = self._chance.random() < 0.7
        chosen = self._chance.choice(known[-20:] if recent else known)
        self._client.read(chosen)
        if chosen.done and (not chosen.fetched or self._chance.random() < 0.2):
            self._client.fetch(chosen)

    def _cancel(self) -> None:
        if known := [each for each in self._pool.all[-10:] if not each.done]:
            self._client.cancel(self._chance.choice(known))

    def _list(self) -> None:
        self._client.walk()

    def _tidy(self) -> None:
        old = [each for each in self._pool.all[: -self.KEEPS] if each.done and each.fetched]
        if old:
            self._client.delete(self._chance.choice(old))
        elif self._chance.random() < 0.02 and (known := self._pool.all):
            self._client.delete(self._chance.choice(known))  # in any status
