"""The example explanation in OpenAPI: service/samples/cat.jpg, by the bundled model."""

from typing import Any

from service.api.state import serializers
from service.jobs.records import JobSpec, ProgressCount, State
from service.schemas.documents import ImageInfo, Status
from service.schemas.fingerprint import ModelParts, ModelRef, fingerprint_of
from service.schemas.requests import Outputs, Pixels, ResolvedSettings
from service.schemas.results import Outcome, OutputResult, Rectangle, Runtime, Timings
from service.schemas.warnings import ResultWarning, WarningCode

_PARTS = ModelParts(
    architecture="sha256:317594d17cdcdf0aec65f9c18f5f510e6d43ac7cba1c89023d3b922936ca416b",
    weights="sha256:f98640a8ce8de6c20afbf448c4d897afa8eaae08711eed736fd9be77520ae7e8",
    labels="sha256:e76e2e26ab75dfaaab99a003493487ce95647379f122d7df8f1f9d35aa13a90e",
    preprocessing="none",
    fit="crop",
    input_shape=(224, 224, 3),
    backend="tensorflow",
    dtype="float32",
)
_MODEL = ModelRef(name="imagenet", fingerprint=fingerprint_of(_PARTS), parts=_PARTS)
_SPEC = JobSpec(
    settings=ResolvedSettings(
        model="imagenet",
        fit="crop",
        superpixels=Pixels(kind="pixels"),
        outputs=Outputs(top=1),
        max_evals=500,
    ),
    model=_MODEL,
    image=ImageInfo(
        sha256="e122579f313cec2886ad083a33a81b11fd680174baa053e943829ed9010b4cbd",
        bytes=37_971,
        format="JPEG",
        width=451,
        height=300,
        name="cat.jpg",
    ),
)
_OUTCOME = Outcome(
    model=_MODEL,
    partial=False,
    solution_concept="Owen values of a fixed binary image tree",
    evaluations=500,
    players=150_528,
    region_count=61,
    unresolved=0.05822891200581959,
    outputs=[
        OutputResult(
            index=285,
            label="Egyptian cat",
            score=0.3794703483581543,
            base_value=0.0009783715941011906,
            attribution_sum=0.3784919786912724,
            efficiency_gap=-1.927219273056835e-09,
            sparseness=0.4456503158220918,
            held_out_fidelity=None,
            even_energy=None,
        )
    ],
    efficiency_gap=1.927219273056835e-09,
    target_reached=None,
    warnings=[
        ResultWarning(
            code=WarningCode.NO_STANDARD_ERRORS,
            detail="the values are estimates from 500 evaluations with unknown standard errors: "
            "partition does not estimate them; kernel and gaussian_process do, on superpixels",
            output=None,
            value=None,
            limit=None,
        ),
        ResultWarning(
            code=WarningCode.COARSE_REGIONS,
            detail="6 % of all pairs of pixels lie within one region, over which credit is spread "
            "evenly; with more than 500 evaluations (max_evals), large regions are divided "
            "further",
            output=None,
            value=0.05822891200581959,
            limit=0.05,
        ),
    ],
    metrics=[],
    crop=Rectangle(left=75, top=0, right=375, bottom=300),
    placement=Rectangle(left=0, top=0, right=224, bottom=224),
    runtime=Runtime(
        backend="tensorflow",
        device="cpu",
        dtype="float32",
        versions={
            "shapshot": "0.2.0",
            "tensorflow": "2.21.0",
            "keras": "3.15.1",
            "opencv-python-headless": "4.14.0.94",
            "pillow": "13.0.0",
            "scikit-image": "0.26.0",
            "numpy": "2.4.6",
            "scipy": "1.17.1",
        },
    ),
    timings=Timings(
        queued_s=3.7595,
        prepare_s=0.0074,
        engine_s=25.1599,
        masking_s=44.4146,
        model_s=12.3627,
        store_s=0.2503,
    ),
)
_ID = "exp_019f4b7fef234b038c8acefe36d6114f"
_CREATED_AT = 1_795_956_429.559376  # 2026-11-29


def queued() -> dict[str, Any]:
    return _document(_state(Status.QUEUED))


def succeeded() -> dict[str, Any]:
    return _document(state_of(_OUTCOME))


def state_of(outcome: Outcome) -> State:
    """Returns the state of an explanation that succeeded with this outcome."""
    return _state(
        Status.SUCCEEDED,
        started_at=_CREATED_AT + 3.759465,
        finished_at=_CREATED_AT + 29.184661,
        expires_at=_CREATED_AT + 29.184661 + 604_800,
        attempts=1,
        progress=ProgressCount(500, 500),
        outcome=outcome,
        result="attempt",
    )


def _state(status: Status, **differing: Any) -> State:
    fields: dict[str, Any] = dict.fromkeys(
        (
            *("started_at", "finished_at", "expires_at", "outcome", "result", "artifacts"),
            *("error", "cached_from"),
        )
    )
    fields |= {"attempts": 0, "progress": ProgressCount(0, 0)}
    return State(
        id=_ID,
        version=1,
        status=status,
        owner=None,
        created_at=_CREATED_AT,
        spec=_SPEC,
        **(fields | differing),
    )


def _document(state: State) -> dict[str, Any]:
    return serializers.explanation(state, root_path="").model_dump(mode="json")
