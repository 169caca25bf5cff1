"""The blocking client."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack

import httpx

from service.client import calls, sequences, to_mlflow
from service.client.attributions import Attributions, BatchAttributions
from service.client.batches import BatchGroup
from service.client.calls import (
    AuditOptions,
    Call,
    CoalitionLike,
    FigureOptions,
    Format,
    HeatmapOptions,
    LabelMap,
    ListOptions,
    PageOptions,
    Settings,
    WebhookChanges,
)
from service.client.errors import ShapshotError
from service.client.events import PAUSE_S, SILENCE_S, EventReader
from service.client.explanation import Explanation
from service.client.pictures import Picture, file_of
from service.client.retry import Retries
from service.client.sequences import OnProgress, Read, Steps
from service.schemas import documents
from service.schemas.audit import AuditPage
from service.schemas.caller import Caller
from service.schemas.chain import ChainPage
from service.schemas.documents import Batch, BatchList, ExplanationList
from service.schemas.keeping import Hold
from service.schemas.links import SignedLink
from service.schemas.models import MethodList, ModelCard, ModelList
from service.schemas.previews import Preview
from service.schemas.regions import Regions
from service.schemas.reproduction import Reproduction
from service.schemas.requests import Outputs
from service.schemas.results import Faithfulness
from service.schemas.reviews import ReviewDocument, ReviewList
from service.schemas.scores import Scores
from service.schemas.webhooks import (
    Delivery,
    DeliveryList,
    DeliveryStatus,
    Signature,
    Webhook,
    WebhookList,
    WebhookWithSecret,
)

T = TypeVar("T")


class Client:
    """A blocking client. Every method may raise ShapshotError and httpx.HTTPError.

    timeout: seconds without an answer; None: what suits each request. retry_s: a request that
    found the server busy (429, 502, 503, 504) or lost the connection is repeated for so many
    seconds, after Retry-After if the server sends it; 0: never. Further options are httpx's.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout: float | None = None,
        retry_s: float = 30,
        **options: Any,
    ) -> None:
        self._http = httpx.Client(base_url=url, **options)
        self._http.headers.update(calls.authorization(api_key))
        self._timeout_s, self._retry_s = timeout, retry_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(
        self,
        picture: Picture,
        settings: Settings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
        idempotency_key: str | None = None,
    ) -> Explanation:
        """Queue an explanation and return at once.

        label_map: your own superpixels. anew: compute it even if a result exists.
        idempotency_key: a second call with the same key returns the first one's explanation; by
        default each call has its own, for its retries.

        Raises ValueError and TypeError for a picture that cannot be sent, OSError.
        """
        return self._bound(
            self._run(sequences.submit(picture, settings, label_map, anew, idempotency_key))
        )

    def explain(
        self,
        picture: Picture,
        settings: Settings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
        idempotency_key: str | None = None,
        timeout_s: float = 3600,
        on_progress: OnProgress | None = None,
    ) -> Explanation:
        """Queue an explanation and wait until it is done, as `submit` and `wait` do."""
        queued = self.submit(
            picture, settings, label_map=label_map, anew=anew, idempotency_key=idempotency_key
        )
        return self.wait(queued.id, timeout_s=timeout_s, on_progress=on_progress)

    def wait(
        self,
        explanation_id: str,
        *,
        timeout_s: float = 3600,
        on_progress: OnProgress | None = None,
    ) -> Explanation:
        """Wait until it is done; may be called again after an interruption.

        on_progress: is called with the document about every second, and at the end.

        Raises ExplanationFailedError, ExplanationCanceledError (also with a partial result),
        TimeoutError; the explanation goes on.
        """
        return self._run(sequences.wait(explanation_id, timeout_s, on_progress, self._bound))

    def events(self, explanation_id: str) -> Iterator[Explanation]:
        """Yield the document now, and again whenever it changes, until it is done.

        Connects again after a lost connection.
        """
        reader, call = EventReader(), calls.events(explanation_id)
        retries = Retries(self._retry_s)
        while not reader.done:
            try:
                with self._http.stream(
                    call.method, call.path, headers=reader.headers, timeout=SILENCE_S
                ) as response:
                    if response.status_code == 204:
                        return
                    if not response.is_success:
                        response.read()
                        call.read(response)
                    reader.connected()
                    for line in response.iter_lines():
                        if document := reader.read(line):
                            retries.reset()
                            yield self._bound(document)
                        if reader.done:
                            return
            except (ShapshotError, httpx.HTTPError) as error:
                time.sleep(retries.pause_s(error))
            else:
                time.sleep(PAUSE_S)

    def get(self, explanation_id: str) -> Explanation:
        """Get the document as it is now; also of a failed or canceled explanation."""
        return self._bound(self._send(calls.read(explanation_id)))

    def attributions(self, explanation_id: str, output: Sequence[str | int] = ()) -> Attributions:
        """Get the arrays, also partial ones; `to_shap` converts them to a shap.Explanation.

        output: labels or indices, by default all.
        """
        return self._send(calls.attributions(explanation_id, output))

    def attributions_npz(self, explanation_id: str) -> bytes:
        """Get the file of the arrays."""
        return self._send(calls.attributions_npz(explanation_id))

    def heatmap(
        self,
        explanation_id: str,
        style: str = "figure",
        *,
        format: Format = "png",
        **options: Unpack[HeatmapOptions],
    ) -> bytes:
        """Get a drawing; style: figure, overlay, heat or interactions; format: png, svg or pdf."""
        return self._send(calls.heatmap(explanation_id, style, format, options))

    def figure(
        self,
        explanation_ids: Sequence[str],
        *,
        format: Format = "png",
        **options: Unpack[FigureOptions],
    ) -> bytes:
        """Get a drawing of several pictures, one per row, on a common colour scale."""
        return self._send(calls.figure(explanation_ids, format, options))

    def preview(self, explanation_id: str) -> Preview:
        """Get a coarse heatmap of a running explanation, as far as it is computed."""
        return self._send(calls.preview(explanation_id))

    def regions(
        self, explanation_id: str, output: Sequence[str | int] = (), pairs: int = 20
    ) -> Regions:
        """Get each region's attribution to each output; field `adding` says how values add up.

        pairs: the strongest interactions of each output to get, if they were requested.
        """
        return self._send(calls.regions(explanation_id, output, pairs))

    def regions_csv(self, explanation_id: str) -> bytes:
        """Get the table of the regions as CSV."""
        return self._send(calls.regions_csv(explanation_id))

    def scores(
        self,
        explanation_id: str,
        coalitions: Sequence[CoalitionLike],
        outputs: Outputs | Mapping[str, Any] | None = None,
    ) -> Scores:
        """Score coalitions of its regions, for the explained outputs unless some are given.

        A coalition is {"hidden": [3, 7]} or {"shown": [1]}, or a Coalition. Waits up to 60 s;
        `done` tells whether they are scored. Raises pydantic.ValidationError for no coalition, or
        more than 64.
        """
        return self._send(calls.scores(explanation_id, coalitions, outputs))

    def get_scores(self, explanation_id: str, scores_id: str) -> Scores:
        """Get the scores that `scores` did not wait for; waits up to 60 s more."""
        return self._send(calls.get_scores(explanation_id, scores_id))

    def masked_picture(self, explanation_id: str, coalition: CoalitionLike) -> bytes:
        """Get the picture that the model sees of a coalition, as PNG."""
        return self._send(calls.masked_picture(explanation_id, coalition))

    def faithfulness(self, explanation_id: str, output: Sequence[str | int] = ()) -> Faithfulness:
        """Get the curves of the requested metrics, by default of all outputs."""
        return self._send(calls.faithfulness(explanation_id, output))

    def faithfulness_chart(
        self,
        explanation_id: str,
        output: Sequence[str | int] = (),
        *,
        format: Format = "png",
    ) -> bytes:
        """Get a drawing of the curves."""
        return self._send(calls.faithfulness_chart(explanation_id, output, format))

    def picture(self, explanation_id: str) -> bytes:
        """Get the picture as it was sent."""
        return self._send(calls.picture(explanation_id))

    def label_map(self, explanation_id: str) -> bytes:
        """Get the label map as it was sent: a PNG or an .npy."""
        return self._send(calls.label_map(explanation_id))

    def thumbnail(self, explanation_id: str, *, size: int | None = None) -> bytes:
        """Get the picture small and upright, as PNG; size: of its longer side, 16 to 512 pixels."""
        return self._send(calls.thumbnail(explanation_id, size))

    def record(self, explanation_id: str) -> bytes:
        """Get the signed record, a DSSE envelope as JSON."""
        return self._send(calls.record(explanation_id))

    def bundle(self, explanation_id: str) -> bytes:
        """Get the record with all its files, as a zip that `shapshot verify` checks."""
        return self._send(calls.bundle(explanation_id))

    def report(self, explanation_id: str) -> bytes:
        """Get a report for people, as one page of HTML that needs nothing else."""
        return self._send(calls.report(explanation_id))

    def report_pdf(self, explanation_id: str) -> bytes:
        """Get the report as PDF; the server needs its extra `pdf`."""
        return self._send(calls.report_pdf(explanation_id))

    def batch_report(self, batch_id: str) -> bytes:
        """Get a report of a batch: what its pictures tell together, as one page of HTML."""
        return self._send(calls.batch_report(batch_id))

    def batch_report_pdf(self, batch_id: str) -> bytes:
        """Get the report of a batch as PDF; the server needs its extra `pdf`."""
        return self._send(calls.batch_report_pdf(batch_id))

    def reproduce(self, explanation_id: str, *, idempotency_key: str | None = None) -> Explanation:
        """Queue a second run of it on the model of today, and return the new explanation at once.

        Once that is done, `reproduction` compares the two. idempotency_key: as in `submit`.
        """
        return self._bound(self._send(calls.reproduce(explanation_id, idempotency_key)))

    def reproduction(self, explanation_id: str) -> Reproduction:
        """Compare an explanation that `reproduce` made with the one that it runs again."""
        return self._send(calls.reproduction(explanation_id))

    def review(
        self,
        explanation_id: str,
        verdict: Literal["accept", "reject", "override"],
        *,
        label: str | None = None,
        comment: str | None = None,
        reviewer: str | None = None,
    ) -> ReviewDocument:
        """Sign a review of an explanation; the last one counts, and none can be taken back.

        label: with override, the one that is right. reviewer: by default the name of the key.
        """
        return self._send(calls.review(explanation_id, verdict, label, comment, reviewer))

    def reviews(self, explanation_id: str) -> ReviewList:
        """Get all reviews of an explanation, the first one first."""
        return self._send(calls.reviews(explanation_id))

    def hold(
        self,
        explanation_id: str,
        reason: str,
        *,
        until: datetime | None = None,
        name: str | None = None,
    ) -> Hold:
        """Keep an explanation from expiry and deletion, until it is released or a time has come.

        until: with a time zone. name: of who holds it, for a server without keys.
        """
        return self._send(calls.hold(explanation_id, reason, until, name))

    def get_hold(self, explanation_id: str) -> Hold:
        """Get who holds an explanation, since when and why."""
        return self._send(calls.get_hold(explanation_id))

    def release_hold(self, explanation_id: str) -> None:
        """Release a hold; the explanation expires after the rest of its time."""
        self._send(calls.release_hold(explanation_id))

    def audit(self, **options: Unpack[AuditOptions]) -> AuditPage:
        """Get a page of the audit log, which takes a key of scope auditor."""
        return self._send(calls.audit(options))

    def audit_lines(self, **options: Unpack[AuditOptions]) -> bytes:
        """Get all entries of the audit log that the filters select as NDJSON, oldest first."""
        return self._send(calls.audit_lines(options))

    def records(self, *, after: int | None = None, limit: int = 1000) -> ChainPage:
        """Get a page of the chain of signed statements, which takes a key of scope auditor."""
        return self._send(calls.records(after, limit))

    def audit_segments(self) -> bytes:
        """Get the signed segments of the audit log, by which `shapshot verify` checks it."""
        return self._send(calls.audit_segments())

    def signing_keys(self) -> bytes:
        """Get the public keys that verify records, a JSON Web Key Set."""
        return self._send(calls.signing_keys())

    def log_mlflow(self, explanation: str | documents.Explanation, *, step: int = 0) -> str:
        """Log an explanation into the active run of MLflow, which has to be installed.

        Its settings become parameters, its numbers metrics, and its files artifacts in the folder
        that is returned. Several explanations in one run need the same settings, and each its own
        step, so that metrics of the same name are told apart.

        Raises ImportError without MLflow, ValueError without an active run or if the explanation
        is not done, ExplanationFailedError if it has no whole result.
        """
        run = to_mlflow.ActiveRun.find()
        return run.log(*self._run(to_mlflow.fetch(explanation)), step)

    def link(
        self, explanation_id: str, path: str | None = None, *, lifetime_s: int | None = None
    ) -> SignedLink:
        """Sign a link that shows a result without a key, such as in an `<img>`, until it expires.

        path: the result and its query, as in "heatmap.png?style=overlay"; None: all results, to
        whose addresses `sig=` and the token are added. lifetime_s: by default an hour.
        """
        return self._send(calls.link(explanation_id, path, lifetime_s))

    def batch_link(
        self, batch_id: str, path: str | None = None, *, lifetime_s: int | None = None
    ) -> SignedLink:
        """Sign a link that shows the report of a batch without a key, until it expires.

        path: "report.html" or "report.pdf"; None: both, to whose addresses `sig=` and the token are
        added. lifetime_s: by default an hour.
        """
        return self._send(calls.batch_link(batch_id, path, lifetime_s))

    def cancel(self, explanation_id: str) -> Explanation:
        return self._bound(self._send(calls.cancel(explanation_id)))

    def delete(self, explanation_id: str) -> None:
        self._send(calls.delete(explanation_id))

    def submit_batch(
        self,
        pictures: Iterable[Picture],
        settings: Settings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Queue explanations of up to 32 pictures as one batch and return at once."""
        return self._run(
            sequences.submit_batch(pictures, settings, label_map, anew, idempotency_key)
        )

    def wait_batch(
        self, batch_id: str, *, timeout_s: float = 3600, on_progress: OnProgress | None = None
    ) -> Batch:
        """Wait until all explanations are done, successful or not. Raises TimeoutError."""
        return self._run(sequences.wait_batch(batch_id, timeout_s, on_progress))

    def submit_all(
        self,
        pictures: Iterable[Picture],
        settings: Settings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
        idempotency_key: str | None = None,
        timeout_s: float = 3600,
    ) -> BatchGroup:
        """Queue explanations of any number of pictures, as batches that the server accepts.

        Pictures are read as they are sent. A full queue is waited for, up to timeout_s.
        idempotency_key: a second call with the same key and pictures, also of another run of the
        program, returns the explanations of the first and adds those that it did not send.
        """
        return self._run(
            sequences.submit_all(pictures, settings, label_map, anew, idempotency_key, timeout_s)
        )

    def wait_all(
        self,
        group: BatchGroup,
        *,
        timeout_s: float = 3600,
        on_progress: OnProgress | None = None,
    ) -> BatchGroup:
        """Wait until all explanations are done, successful or not. Raises TimeoutError.

        on_progress: is called with the group about every second, and at the end.
        """
        return self._run(sequences.wait_all(group, timeout_s, on_progress))

    def explain_all(
        self,
        pictures: Iterable[Picture],
        settings: Settings | None = None,
        *,
        label_map: LabelMap | None = None,
        anew: bool = False,
        idempotency_key: str | None = None,
        timeout_s: float = 3600,
        on_progress: OnProgress | None = None,
    ) -> BatchGroup:
        """Explain any number of pictures and wait, as `submit_all` and `wait_all` do.

        Raises IncompleteBatchError, which has the group, unless all have a whole result.
        """
        return self._run(
            sequences.explain_all(
                pictures, settings, label_map, anew, idempotency_key, timeout_s, on_progress
            )
        )

    def get_batch(self, batch_id: str) -> Batch:
        return self._send(calls.read_batch(batch_id))

    def batch_attributions(self, batch: str | Batch | BatchGroup) -> BatchAttributions:
        """Get the arrays of the explanations that succeeded; `positions` tells their pictures."""
        return self._run(sequences.batch_attributions(batch))

    def batch_heatmap(
        self, batch_id: str, *, format: Format = "png", **options: Unpack[FigureOptions]
    ) -> bytes:
        """Get a drawing of a batch, one row per picture."""
        return self._send(calls.batch_heatmap(batch_id, format, options))

    def cancel_batch(self, batch_id: str) -> Batch:
        return self._send(calls.cancel_batch(batch_id))

    def delete_batch(self, batch_id: str) -> None:
        self._send(calls.delete_batch(batch_id))

    def list(self, **options: Unpack[ListOptions]) -> ExplanationList:
        """Get one page of explanations, newest first, and their `total`."""
        return self._send(calls.explanations(options))

    def pages(self, **options: Unpack[ListOptions]) -> Iterator[ExplanationList]:
        """Yield all pages of explanations; each has the `total`."""
        while True:
            page = self.list(**options)
            yield page
            if page.next_cursor is None:
                return
            options["cursor"] = page.next_cursor

    def iterate(self, **options: Unpack[ListOptions]) -> Iterator[documents.Explanation]:
        """Yield all explanations that the filters select, fetching pages as needed."""
        for page in self.pages(**options):
            yield from page.items

    def list_batches(self, **options: Unpack[PageOptions]) -> BatchList:
        """Get one page of batches, newest first, and their `total`."""
        return self._send(calls.batches(options))

    def add_webhook(
        self,
        url: str,
        events: Sequence[str],
        *,
        description: str = "",
        all_owners: bool = False,
        signature: Signature | None = None,
        secret: str | None = None,
    ) -> WebhookWithSecret:
        """Add an address that is told of events; the secret is in the answer, and only there."""
        return self._send(
            calls.create_webhook(url, events, description, all_owners, signature, secret)
        )

    def webhooks(self) -> WebhookList:
        return self._send(calls.webhooks())

    def webhook(self, webhook_id: str) -> Webhook:
        return self._send(calls.webhook(webhook_id))

    def change_webhook(self, webhook_id: str, **changes: Unpack[WebhookChanges]) -> Webhook:
        """Change fields of a webhook; enabled: False disables it, True enables it again."""
        return self._send(calls.change_webhook(webhook_id, changes))

    def delete_webhook(self, webhook_id: str) -> None:
        self._send(calls.delete_webhook(webhook_id))

    def rotate_webhook(
        self, webhook_id: str, *, signature: Signature | None = None, secret: str | None = None
    ) -> WebhookWithSecret:
        """Replace its secret; the old one signs along for a day."""
        return self._send(calls.rotate_webhook(webhook_id, signature, secret))

    def test_webhook(self, webhook_id: str) -> Delivery:
        """Queue a delivery that only tests the webhook."""
        return self._send(calls.test_webhook(webhook_id))

    def deliveries(
        self, webhook_id: str, *, status: DeliveryStatus | None = None, limit: int | None = None
    ) -> DeliveryList:
        """Get the last deliveries of a webhook with their attempts."""
        return self._send(calls.deliveries(webhook_id, status, limit))

    def replay_delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Deliver again, under the same id."""
        return self._send(calls.replay_delivery(webhook_id, delivery_id))

    def caller(self) -> Caller:
        """Get the name and the scopes of this client's key."""
        return self._send(calls.caller())

    def methods(self) -> MethodList:
        return self._send(calls.methods())

    def models(self) -> ModelList:
        return self._send(calls.models())

    def model(self, name: str) -> ModelCard:
        return self._send(calls.model(name))

    def _bound(self, document: documents.Explanation) -> Explanation:
        return Explanation.of(document, self.regions)

    def _run(self, steps: Steps[T]) -> T:
        """Perform the steps, and return what they return."""
        advance: Callable[[], Call[Any] | Read] = partial(next, steps)
        while True:
            try:
                step = advance()
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                found = file_of(step.picture) if isinstance(step, Read) else self._send(step)
            except ShapshotError as error:
                advance = partial(steps.throw, error)
            else:
                advance = partial(steps.send, found)

    def _send(self, call: Call[T]) -> T:
        """Send the request, and again while that may help."""
        retries = Retries(self._retry_s if call.retry_s is None else call.retry_s)
        while True:
            try:
                response = self._http.request(
                    call.method, call.path, timeout=call.timeout(self._timeout_s), **call.options
                )
                return call.read(response, repeated=retries.count > 0)
            except (ShapshotError, httpx.HTTPError) as error:
                pause_s = retries.pause_s(error)
            time.sleep(pause_s)
