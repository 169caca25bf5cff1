"""One explanation as OpenAPI shows it, made by the same code as the real ones."""

from typing import Any

from service.api.reading import documents
from service.contract.fingerprint import ModelParts, ModelRef, fingerprint_of
from service.contract.outcome import Crop, Outcome, OutputResult, Placement, Runtime, Timings
from service.contract.records import Count, Order, State
from service.contract.request import Outputs, Pixels, ResolvedSettings
from service.contract.schema import ImageInfo, Status
from service.contract.warnings import ResultWarning, WarningCode

_PARTS = ModelParts(
    architecture="sha256:" + "3a" * 32,
    weights="sha256:" + "4f" * 32,
    labels="sha256:" + "5c" * 32,
    preprocessing="caffe: BGR, (x - (103.939, 116.779, 123.68)) / 1",
    fit="crop",
    input_shape=(224, 224, 3),
    backend="tensorflow",
    dtype="float32",
)
_MODEL = ModelRef(name="resnet50", fingerprint=fingerprint_of(_PARTS), parts=_PARTS)
_ORDER = Order(
    settings=ResolvedSettings(
        model="resnet50",
        fit="crop",
        superpixels=Pixels(kind="pixels"),
        outputs=Outputs(top=1),
        max_evals=500,
    ),
    model=_MODEL,
    image=ImageInfo(sha256="a1" * 32, bytes=37_971, format="JPEG", width=451, height=300),
)
_OUTCOME = Outcome(
    model=_MODEL,
    partial=False,
    solution_concept="Owen values of a fixed binary image tree",
    evaluations=500,
    players=150_528,
    region_count=256,
    unresolved=0.03125,
    outputs=[
        OutputResult(
            index=281,
            label="tabby",
            score=0.5625,
            base_value=0.0625,
            attribution_sum=0.5,
            efficiency_gap=0.0,
            sparseness=0.625,
            held_out_fidelity=None,
            even_energy=None,
        )
    ],
    efficiency_gap=0.0,
    target_reached=None,
    warnings=[
        ResultWarning(
            code=WarningCode.NO_STANDARD_ERRORS,
            detail="partition gives its values without standard errors: nothing tells how far "
            "more evaluations would move them",
            output=None,
            value=None,
            limit=None,
        )
    ],
    metrics=[],
    crop=Crop(left=75, top=0, right=375, bottom=300),
    placement=Placement(left=0, top=0, right=224, bottom=224),
    runtime=Runtime(backend="tensorflow", device="cpu", dtype="float32", versions={}),
    timings=Timings(
        queued_s=0.02, prepare_s=0.01, engine_s=9.5, masking_s=5.1, model_s=8.9, store_s=0.05
    ),
)
_ID = "exp_0123456789abcdef0123456789abcdef"
_CREATED_AT = 1_767_225_600.0  # 2026-01-01


def queued() -> dict[str, Any]:
    return _document(Status.QUEUED)


def succeeded() -> dict[str, Any]:
    return _document(
        Status.SUCCEEDED,
        started_at=_CREATED_AT + 0.02,
        finished_at=_CREATED_AT + 9.6,
        expires_at=_CREATED_AT + 604_800,
        attempts=1,
        progress=Count(500, 500),
        outcome=_OUTCOME,
        result="attempt",
    )


def _document(status: Status, **differing: Any) -> dict[str, Any]:
    fields: dict[str, Any] = dict.fromkeys(
        (
            *("started_at", "finished_at", "expires_at", "outcome", "result", "artefacts"),
            *("error", "cached_from"),
        )
    )
    fields |= {"attempts": 0, "progress": Count(0, 0)}
    state = State(
        id=_ID,
        version=1,
        status=status,
        owner=None,
        created_at=_CREATED_AT,
        order=_ORDER,
        **(fields | differing),
    )
    return documents.explanation(state, root_path="").model_dump(mode="json")
