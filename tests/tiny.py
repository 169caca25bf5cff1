"""A tiny model as tests and benchmarks announce it, the spec of a job for it, and an outcome."""

from typing import Any

from service.jobs.records import JobSpec
from service.schemas.documents import ImageInfo
from service.schemas.fingerprint import ModelParts, ModelRef, fingerprint_of
from service.schemas.models import ModelCard, ModelStatus
from service.schemas.requests import Outputs, Pixels, ResolvedSettings
from service.schemas.results import Outcome, OutputResult, Rectangle, Runtime, Timings

PARTS = ModelParts(
    architecture="sha256:" + "cd" * 32,
    weights="sha256:" + "ab" * 32,
    labels="sha256:" + "ef" * 32,
    preprocessing="none",
    fit="crop",
    input_shape=(8, 12, 3),
    backend="none",
    dtype="float32",
)
MODEL = ModelRef(name="tiny", fingerprint=fingerprint_of(PARTS), parts=PARTS)


def card(**differing: Any) -> ModelCard:
    """Make a card as a worker announces it; arguments replace fields."""
    known = {
        "name": "tiny",
        "default": True,
        "status": ModelStatus.AVAILABLE,
        "parts": PARTS,
        "input_shape": (8, 12, 3),
        "output_count": 5,
        "labels": ["ant", "bee", "crane", "dog", "crane"],
        "backends_tried": [],
        "warnings": [],
        "revision": "sha256:" + "09" * 32,
        "value_range": (0, 255),
        "preprocessing": "none",
        "fit": "crop",
        "fits": ["crop", "stretch", "pad"],
    }
    parts = differing.get("parts", PARTS)
    known["fingerprint"] = parts and fingerprint_of(parts)
    return ModelCard.model_validate(dict.fromkeys(ModelCard.model_fields) | known | differing)


SPEC = JobSpec(
    settings=ResolvedSettings(
        model="tiny",
        fit="crop",
        superpixels=Pixels(kind="pixels"),
        outputs=Outputs(top=1),
        max_evals=500,
    ),
    model=MODEL,
    image=ImageInfo(sha256="0" * 64, bytes=1, format="PNG", width=60, height=40),
)
OUTCOME = Outcome(
    model=MODEL,
    partial=False,
    solution_concept="Owen values",
    evaluations=100,
    players=7200,
    region_count=None,
    unresolved=0.0,
    outputs=[],
    efficiency_gap=0.0,
    target_reached=None,
    warnings=[],
    metrics=[],
    crop=Rectangle(left=0, top=0, right=60, bottom=40),
    placement=Rectangle(left=0, top=0, right=12, bottom=8),
    runtime=Runtime(backend="none", device="cpu", dtype="float32", versions={}),
    timings=Timings(queued_s=0, prepare_s=0, engine_s=0, masking_s=0, model_s=0, store_s=0),
)


def output_result(index: int, label: str = "") -> OutputResult:
    """Make the result of one output."""
    return OutputResult(
        index=index,
        label=label or str(index),
        score=0.5,
        base_value=0.125,
        attribution_sum=0.375,
        efficiency_gap=0.0,
        sparseness=0.5,
        held_out_fidelity=None,
        even_energy=0.25,
    )
