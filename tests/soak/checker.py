"""Checks a history against the promises of Shapshot: `python tests/soak/checker.py HISTORY`.

It imports nothing of this project, and knows only the format of a history (see history.py). The
order of lines is the order of events: a call whose line follows the answer to another began after
that one had ended. So an answer holds for every call on a later line, and only for those; of
concurrent calls either may have come first.

Exit status: 0 if the history keeps every promise, 1 if it does not, 2 if it cannot be read.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# Kinds of violation
LOST = "lost"  # accepted, but it never ended, or no longer exists
TWICE_ACCEPTED = "accepted twice"  # one request has two explanations, or two requests have one
TWICE_ENDED = "ended twice"
TWO_OWNERS = "two owners"  # an attempt wrote after it had lost its lease
STALE = "went back"  # an answer older than one that preceded the call
CHANGED = "changed"  # a result, or the document of a version, which must never change
WRONG = "wrong result"  # it differs from the result without faults
NO_RESULT = "result missing"
RESURRECTED = "came back"  # after it was deleted
UNKNOWN = "from nowhere"  # nobody requested it
UNCAUSED = "without a cause"  # it failed or was canceled without any fault or cancel
INTERNAL = "internal error"
BROKEN = "broken history"
KINDS = (
    *(LOST, TWICE_ACCEPTED, TWICE_ENDED, TWO_OWNERS, STALE, CHANGED, WRONG, NO_RESULT),
    *(RESURRECTED, UNKNOWN, UNCAUSED, INTERNAL, BROKEN),
)

ENDS = ("succeeded", "failed", "canceled")
Event = dict[str, Any]


@dataclass(frozen=True)
class Violation:
    """A broken promise, and the lines that show it."""

    kind: str
    text: str
    lines: tuple[int, ...]  # from 1


@dataclass
class Request:
    """A client's request, by its token; sent one or more times."""

    line: int  # of the first call
    input: str
    cached: bool  # whether an earlier result may answer it
    ids: list[str] = field(default_factory=list)
    refused: int | None = None  # the line of the answer that refused it
    answered: bool = False


@dataclass(slots=True)
class Explanation:
    """The current knowledge of an explanation. Numbers are lines, unless stated otherwise."""

    id: str
    token: str | None = None
    input: str | None = None
    accepted: int | None = None
    version: int = 0  # the highest reported; not a line
    told: int = 0
    digest: str | None = None  # of the document of that version
    canceling: int | None = None
    end: int | None = None
    status: str | None = None  # its final status
    document: Event | None = None  # at the end
    cancel_asked: int | None = None
    deletes: list[int] = field(default_factory=list)  # calls that were not refused
    gone: int | None = None
    result: tuple[str, str] | None = None  # attempt and sha256
    result_line: int = 0
    judged: bool = False
    missed: int | None = None  # when its result was missing, although its document has one
    excused: set[str] = field(default_factory=set)
    begun: dict[str, tuple[int, int]] = field(default_factory=dict)  # by attempt: call and answer
    finishing: dict[str, str] = field(default_factory=dict)  # by attempt: the status, once called
    finished: str | None = None  # the attempt
    finished_line: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A call without an answer so far."""

    line: int
    event: Event
    version: int  # reported of its explanation before
    retried: bool = False  # whether the same attempt has reported the same end before


@dataclass
class Fault:
    """A fault of the service, with its first and last line."""

    kind: str
    begin: int
    excuses: tuple[str, ...]
    end: int | None = None


class Checker:
    """Reads a history line by line; memory grows with explanations and faults, not with lines."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self.lines = 0
        self._requests: dict[str, Request] = {}
        self._explanations: dict[str, Explanation] = {}
        self._kept: dict[str, Explanation] = {}  # accepted, without a request to delete them
        self._calls: dict[str, Call] = {}
        self._walks: dict[str, tuple[int, set[str]]] = {}
        self._references: dict[str, str] = {}  # sha256 of the result without faults, by input
        self._faults: list[Fault] = []
        self._settled = False

    def check(self, lines: Iterable[str | bytes]) -> list[Violation]:
        """Yield every violation in the history, in the order of the lines that show it."""
        for line in lines:
            self.lines += 1
            try:
                event = json.loads(line)
            except ValueError:
                self._broken(BROKEN, "this line is no JSON", self.lines)
                continue
            {"call": self._call, "answer": self._answer, "unknown": self._unknown}.get(
                event["line"], self._note
            )(event)
        self._conclude()
        return self.violations

    def _broken(self, kind: str, text: str, *lines: int | None) -> None:
        self.violations.append(Violation(kind, text, tuple(sorted({n for n in lines if n}))))

    # --- Lines

    def _note(self, event: Event) -> None:
        if event["op"] == "fault":
            self.counts[f"fault {event['kind']}"] += 1
            excuses = () if "id" in event else tuple(event["excuses"])
            self._faults.append(Fault(event["kind"], self.lines, excuses))
            if "id" in event:  # of one explanation
                self._of(event["id"]).excused.update(event["excuses"])
        elif event["op"] == "fault over":
            for fault in reversed(self._faults):
                if fault.kind == event["kind"]:
                    fault.end = self.lines
                    break
        elif event["op"] == "alarm":
            self._broken(INTERNAL, f"{event['who']} says: {event['text']}", self.lines)
        elif event["op"] == "settled":
            self._settled = True

    def _call(self, event: Event) -> None:
        op, line, version, retried = event["op"], self.lines, 0, False
        if op == "submit":
            new = Request(line, event["input"], event["cached"])
            request = self._requests.setdefault(event["token"], new)
            version = max((self._of(id_).version for id_ in request.ids), default=0)
        elif "id" in event:
            known = self._of(event["id"])
            version = known.version
            if op == "cancel":
                known.cancel_asked = known.cancel_asked or line
            elif op == "delete":
                known.deletes.append(line)
                self._kept.pop(known.id, None)
            elif op == "finish":
                retried = known.finishing.get(event["attempt"]) == event["status"]
                known.finishing[event["attempt"]] = event["status"]
        elif op == "list" and event.get("first"):
            self._walks[event["walk"]] = (line, set())
        self._calls[event["call"]] = Call(line, event, version, retried)

    def _unknown(self, event: Event) -> None:
        call = self._calls.pop(event["call"], None)
        if call:
            self.counts[f"unknown {call.event['op']}"] += 1

    def _answer(self, event: Event) -> None:
        call = self._calls.pop(event["call"], None)
        if call is None:
            self._broken(BROKEN, f"an answer to no call: {event['call']}", self.lines)
            return
        op = call.event["op"]
        self.counts[f"answered {op}"] += 1
        if event.get("http") == 500:
            self._broken(INTERNAL, f"{op} was answered 500", call.line, self.lines)
        getattr(self, f"_{op}")(call, event)

    def _of(self, explanation_id: str) -> Explanation:
        return self._explanations.setdefault(explanation_id, Explanation(explanation_id))

    # --- What clients hear

    def _submit(self, call: Call, answer: Event) -> None:
        request = self._requests[call.event["token"]]
        if answer["http"] in (200, 202):
            request.answered = True
            known = self._of(answer["id"])
            self._attach(known, call.event["token"])
            self._document(known, call, answer)
        elif 400 <= answer["http"] < 500 and answer["http"] != 410:
            request.refused = self.lines
        elif answer["http"] == 410:  # the explanation of its key is deleted
            for known in map(self._of, request.ids):
                self._missing(known, call)

    def _attach(self, known: Explanation, token: str | None) -> None:
        """Record which request has the explanation: at most one each, in both directions."""
        request = self._requests.get(token or "")
        if request is None:
            if known.token is None:
                known.token = token or "?"
                text = f"{known.id} is of a request {token!r} that nobody made"
                self._broken(UNKNOWN, text, self.lines)
        elif known.token is None:
            known.token, known.input, known.accepted = token, request.input, self.lines
            request.ids.append(known.id)
            if not known.deletes:
                self._kept[known.id] = known
            if len(request.ids) > 1:
                text = f"request {token} has several explanations: {', '.join(request.ids)}"
                self._broken(TWICE_ACCEPTED, text, request.line, self.lines)
        elif known.token != token:
            text = f"{known.id} was given to two requests: {known.token} and {token}"
            self._broken(TWICE_ACCEPTED, text, known.accepted, self.lines)

    def _read(self, call: Call, answer: Event) -> None:
        known = self._of(call.event["id"])
        if answer["http"] == 200:
            self._document(known, call, answer)
        elif answer["http"] in (404, 410):
            self._missing(known, call)

    def _cancel(self, call: Call, answer: Event) -> None:
        self._read(call, answer)
        if answer["http"] == 200 and answer["status"] in ("queued", "running"):
            text = f"{call.event['id']} is {answer['status']} after it was canceled"
            self._broken(STALE, text, call.line, self.lines)

    def _delete(self, call: Call, answer: Event) -> None:
        known = self._of(call.event["id"])
        if answer["http"] == 204:
            known.gone = known.gone or self.lines
        elif answer["http"] in (404, 410):
            self._missing(known, call)
        elif answer["http"] == 409:
            known.deletes.remove(call.line)
            if known.accepted and not known.deletes:
                self._kept[known.id] = known
            if _before(known.end, call):
                text = f"{known.id} was not deleted as it still ran, after it had ended"
                self._broken(STALE, text, known.end, call.line, self.lines)

    def _list(self, call: Call, answer: Event) -> None:
        if answer["http"] != 200:
            return
        begun, listed = self._walks.get(call.event.get("walk"), (0, set()))
        for explanation_id, status, token in answer["items"]:
            known = self._of(explanation_id)
            self._attach(known, token)
            self._there(known, call)
            self._standing(known, call, status)
            listed.add(explanation_id)
        if begun and not answer["cursor"]:
            del self._walks[call.event["walk"]]
            for known in self._kept.values():
                if known.accepted and known.accepted < begun and known.id not in listed:
                    text = f"{known.id} is not listed, and nobody deleted it"
                    self._broken(LOST, text, known.accepted, begun, self.lines)

    def _fetch(self, call: Call, answer: Event) -> None:
        known, code = self._of(call.event["id"]), answer.get("code")
        if answer["http"] == 200:
            self._there(known, call)
            found = (answer["attempt"], answer["sha256"])
            if known.result is None:
                known.result, known.result_line = found, self.lines
            elif known.result != found:
                text = f"{known.id} had another result before: {known.result}, now {found}"
                self._broken(CHANGED, text, known.result_line, self.lines)
            self._judge(known)
        elif answer["http"] == 409 and _before(known.end, call):
            text = f"{known.id} has no result yet, after it had ended"
            self._broken(STALE, text, known.end, call.line, self.lines)
        elif code == "no_result" and known.document and known.document["result"]:
            for each in (known, self._source_of(known)):
                each.missed = each.missed or self.lines
            if not known.deletes and not self._is_damaged(known):
                text = f"the result of {known.id} is not there"
                self._broken(NO_RESULT, text, known.end, call.line, self.lines)
        elif answer["http"] in (404, 410) and code != "no_result":
            self._missing(known, call)

    def _source_of(self, known: Explanation) -> Explanation:
        """Return the explanation that computed its result: itself, or an earlier one."""
        source = known.document["cached_from"] if known.document else None
        return self._of(source) if source else known

    def _is_damaged(self, known: Explanation) -> bool:
        """Return whether a fault damaged its result, or the one it was copied from."""
        return any("no_result" in each.excused for each in (known, self._source_of(known)))

    def _there(self, known: Explanation, call: Call) -> None:
        if _before(known.gone, call):
            text = f"{known.id} is there after it was deleted"
            self._broken(RESURRECTED, text, *known.deletes[:1], known.gone, call.line, self.lines)

    def _missing(self, known: Explanation, call: Call) -> None:
        if not known.deletes:
            text = f"{known.id} is not there, and nobody deleted it"
            self._broken(LOST, text, known.accepted, call.line, self.lines)
        known.gone = known.gone or self.lines

    def _document(self, known: Explanation, call: Call, document: Event) -> None:
        self._there(known, call)
        version, digest = document["version"], document["digest"]
        if document["token"] != known.token:
            text = f"{known.id} is of {known.token}, and its document says {document['token']!r}"
            self._broken(CHANGED, text, known.accepted, self.lines)
        if version < call.version:
            text = f"{known.id} was at version {call.version} before, and now at {version}"
            self._broken(STALE, text, known.told, call.line, self.lines)
        if version == known.version and digest != known.digest:
            text = f"{known.id} has two documents of version {version}"
            self._broken(CHANGED, text, known.told, self.lines)
        if version > known.version:
            known.version, known.digest, known.told = version, digest, self.lines
        self._standing(known, call, document["status"])
        if document["status"] in ENDS:
            if known.document and known.document["digest"] != digest:
                text = f"the document of {known.id} changed after its end"
                self._broken(CHANGED, text, known.end, self.lines)
            elif known.document is None:
                known.document = document
                self._judge_end(known, document)
                self._judge(known)

    def _standing(self, known: Explanation, call: Call, status: str) -> None:
        """Check a reported status: an end is final, and a cancel stays requested."""
        if status in ENDS:
            if known.status not in (None, status):
                text = f"{known.id} ended as {known.status} and as {status}"
                self._broken(TWICE_ENDED, text, known.end, self.lines)
            known.end, known.status = known.end or self.lines, known.status or status
            return
        if _before(known.end, call):
            text = f"{known.id} was {known.status} before, and now it is {status}"
            self._broken(STALE, text, known.end, call.line, self.lines)
        elif status != "canceling" and _before(known.canceling, call):
            text = f"{known.id} was canceling before, and now it is {status}"
            self._broken(STALE, text, known.canceling, call.line, self.lines)
        if status == "canceling":
            known.canceling = known.canceling or self.lines

    # --- What it makes of an end

    def _judge_end(self, known: Explanation, document: Event) -> None:
        """Check that its end has a cause, and an attempt that ended it so."""
        status, error = document["status"], document["error"]
        self.counts[f"ended {status} ({error})" if error else f"ended {status}"] += 1
        self.counts[f"attempts {document['attempts']}"] += 1
        if status == "succeeded" and not (document["result"] and document["partial"] is False):
            self._broken(NO_RESULT, f"{known.id} succeeded without a whole result", self.lines)
        if status == "canceled" and known.cancel_asked is None:
            self._broken(UNCAUSED, f"{known.id} was canceled by nobody", self.lines)
        if status == "failed" and not self._excused(known, error):
            text = f"{known.id} failed ({error}), and nothing had happened that explains it"
            self._broken(UNCAUSED, text, known.accepted, self.lines)
        if known.finished and known.finishing[known.finished] != status:
            was = known.finishing[known.finished]
            text = f"{known.id} was ended by its worker as {was}, and it is {status}"
            self._broken(TWICE_ENDED, text, known.finished_line, self.lines)
        if document["cached_from"]:
            self.counts["cached"] += 1
            self._judge_source(known, self._of(document["cached_from"]))

    def _excused(self, known: Explanation, error: str) -> bool:
        if error in known.excused:
            return True
        request = self._requests.get(known.token or "")
        for fault in reversed(self._faults):
            if request and (fault.end or self.lines) < request.line:
                return False
            if error in fault.excuses:
                return True
        return False

    def _judge_source(self, known: Explanation, source: Explanation) -> None:
        """Check that an earlier result that answered it existed, and is equal."""
        request = self._requests.get(known.token or "")
        if source.token is None:
            text = f"{known.id} is answered by {source.id}, which nobody asked for"
            self._broken(UNKNOWN, text, known.accepted, self.lines)
        elif source.input != known.input:
            text = f"{known.id} is of {known.input}, and is answered by {source.input}"
            self._broken(WRONG, text, source.accepted, self.lines)
        if request and source.gone and source.gone < request.line:
            text = f"{known.id} is answered by {source.id}, which was deleted before"
            self._broken(RESURRECTED, text, source.gone, request.line, self.lines)
        if request and source.missed and source.missed < request.line:
            text = f"{known.id} is answered by {source.id}, whose result was not there before"
            self._broken(NO_RESULT, text, source.missed, request.line, self.lines)
        if request and not request.cached:
            text = f"{known.id} was to be computed anew, and is answered by {source.id}"
            self._broken(CHANGED, text, request.line, self.lines)

    def _judge(self, known: Explanation) -> None:
        """Check the result and its attempt, once both and the end are known."""
        if known.judged or known.result is None or known.document is None:
            return
        known.judged = True
        attempt, digest = known.result
        if attempt not in self._source_of(known).finishing:
            text = f"the result of {known.id} is of attempt {attempt}, which did not end it"
            self._broken(TWICE_ENDED, text, known.result_line)
        if known.status != "succeeded" or known.input is None:
            return
        if not self._faults:
            self._references.setdefault(known.input, digest)
        reference = self._references.get(known.input)
        if reference is None:
            text = f"nobody knows the result of {known.input} without faults"
            self._broken(BROKEN, text, self.lines)
        elif digest != reference:
            text = f"the result of {known.id} is not that of {known.input} without faults"
            self._broken(WRONG, text, known.result_line)

    # --- What workers do and hear

    def _begin(self, call: Call, answer: Event) -> None:
        attempt, known = answer["attempt"], self._of(call.event["id"])
        if attempt is None:
            return
        known.begun[attempt] = (call.line, self.lines)
        if since := _first(known.end, known.gone, before=call):
            text = f"{known.id} was begun after its end"
            self._broken(TWICE_ENDED, text, since, call.line, self.lines)

    def _tick(self, call: Call, answer: Event) -> None:
        for (explanation_id, attempt), standing in zip(
            call.event["held"], answer["standings"], strict=True
        ):
            if standing != "fenced":
                self._owned(self._of(explanation_id), attempt, call)

    def _release(self, call: Call, answer: Event) -> None:
        if answer["owned"]:
            self._owned(self._of(call.event["id"]), call.event["attempt"], call)

    def _finish(self, call: Call, answer: Event) -> None:
        known, attempt = self._of(call.event["id"]), call.event["attempt"]
        status = call.event["status"]
        if not answer["owned"]:
            return
        self.counts["finished by workers"] += 1
        if known.finished not in (None, attempt):
            text = f"{known.id} was ended by two attempts: {known.finished} and {attempt}"
            self._broken(TWICE_ENDED, text, known.finished_line, self.lines)
        elif known.status not in (None, status):
            text = f"{known.id} had ended as {known.status} when its worker ended it as {status}"
            self._broken(TWICE_ENDED, text, known.end, self.lines)
        elif not call.retried:
            self._owned(known, attempt, call)
        known.finished, known.finished_line = known.finished or attempt, self.lines

    def _owned(self, known: Explanation, attempt: str, call: Call) -> None:
        """Check that an attempt that still owns its explanation is the only one and not late."""
        _, begun = known.begun.get(attempt, (0, call.line))
        for other, (other_call, other_begun) in known.begun.items():
            if other != attempt and begun < other_call and other_begun < call.line:
                text = f"attempt {attempt} of {known.id} wrote after {other} had begun"
                self._broken(TWO_OWNERS, text, begun, other_begun, call.line, self.lines)
                return
        if since := _first(known.end, known.gone, before=call):
            text = f"attempt {attempt} of {known.id} wrote after its end"
            self._broken(TWO_OWNERS, text, since, call.line, self.lines)

    # --- The end of the history

    def _lacks_its_result(self, known: Explanation) -> bool:
        """Return whether it claims a result that nobody ever received."""
        has = known.document is not None and known.document["result"] and not known.gone
        return bool(has and known.result is None and not self._is_damaged(known))

    def _conclude(self) -> None:
        if not self._settled:
            self._broken(BROKEN, "it breaks off before everything had ended", self.lines)
        for known in self._explanations.values():
            if known.token is None:
                lines = [line for begun in known.begun.values() for line in begun]
                text = f"{known.id} is known to workers, and nobody asked for it"
                self._broken(UNKNOWN, text, *lines)
            elif self._settled and not (known.end or known.gone):
                self._broken(LOST, f"{known.id} never ended", known.accepted, known.told)
            elif self._settled and self._lacks_its_result(known):
                self._broken(NO_RESULT, f"nobody could fetch the result of {known.id}", known.end)
        for token, request in self._requests.items():
            self.counts["requests"] += 1
            self.counts["requests without an answer and without an explanation"] += not (
                request.ids or request.refused
            )
            self.counts["accepted"] += len(request.ids)
            self.counts["accepted without an answer"] += bool(request.ids and not request.answered)
            if request.refused and request.ids:
                text = f"request {token} was refused, and has an explanation: {request.ids[0]}"
                self._broken(TWICE_ACCEPTED, text, request.line, request.refused)
        self.counts["deleted"] = sum(bool(each.gone) for each in self._explanations.values())


def _before(line: int | None, call: Call) -> bool:
    """Return whether it was known before the call was made."""
    return line is not None and line < call.line


def _first(*lines: int | None, before: Call) -> int | None:
    return next((line for line in lines if _before(line, before)), None)


def _told(counts: Counter[str], prefix: str) -> str:
    chosen = {name.removeprefix(prefix): n for name, n in sorted(counts.items()) if n}
    return ", ".join(f"{name} {n}" for name, n in chosen.items() if f"{prefix}{name}" in counts)


def main(path: str) -> int:
    checker = Checker()
    try:
        with open(path, "rb") as lines:
            violations = checker.check(lines)
    except OSError as error:
        print(f"{path} cannot be read: {error.strerror}")
        return 2
    of, counts = Counter(each.kind for each in violations), checker.counts
    by = {
        "faults": _told(counts, "fault "),
        "ended": _told(counts, "ended "),
        "by attempts": _told(counts, "attempts "),
        "answers": _told(counts, "answered "),
        "calls without an answer": _told(counts, "unknown "),
    }
    names = (
        *("requests", "accepted", "accepted without an answer"),
        *("requests without an answer and without an explanation", "cached", "deleted"),
        "finished by workers",
    )
    print(f"{checker.lines} lines; " + ", ".join(f"{name} {counts[name]}" for name in names))
    print("\n".join(f"{name}: {told}" for name, told in by.items()))
    print(", ".join(f"{kind} {of[kind]}" for kind in KINDS))
    wanted = {line for each in violations[:10] for line in each.lines}
    with open(path, "rb") as lines:
        shown = {n: line for n, line in enumerate(lines, 1) if n in wanted}
    for each in violations[:10]:
        print(f"\n{each.kind}: {each.text}")
        for number in each.lines:
            print(f"  line {number}: {shown[number].decode(errors='replace').rstrip()}")
    print("\nVIOLATED" if violations else "every promise was kept")
    return 1 if violations else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python checker.py HISTORY")
    sys.exit(main(sys.argv[1]))
