"""An explanation that has ended, and its evidence, without Redis and store."""

from typing import Any

import numpy as np

from service.infra.artifacts import Artifact, ArtifactSection, AttemptArtifacts
from service.infra.packed_arrays import pack
from service.jobs.records import ProgressCount, State
from service.schemas.documents import Status
from service.schemas.evidence import Evidence, TranscriptDocument
from tests.tiny import OUTCOME, SPEC


def some_evidence(outputs: int = 1) -> Evidence:
    """Of two coalitions of five players, in one step."""
    return Evidence(
        pixels_sha256="5" * 64,
        batch=32,
        score_tolerance=1e-4,
        regions=None,
        transcript=TranscriptDocument(
            form="players",
            steps=[2],
            sizes=pack(np.array([1, 1], "<u2")),
            rows=pack(np.array([0b1010_0000, 0b0101_1000], np.uint8)),
            scores=pack(np.arange(2 * outputs, dtype=np.float64).reshape(2, outputs)),
        ),
        curves=None,
    )


def ended_state(**settings: Any) -> State:
    spec = SPEC.model_copy(update={"settings": SPEC.settings.model_copy(update=settings)})
    return State(
        id="exp_" + "1" * 32,
        version=3,
        status=Status.SUCCEEDED,
        owner="audit",
        created_at=1_789_999_990.0,
        started_at=1_789_999_991.5,
        finished_at=1_789_999_999.0,
        expires_at=1_790_086_399.0,
        attempts=1,
        spec=spec,
        progress=ProgressCount(96, 96),
        outcome=OUTCOME,
        result="a" * 32,
        artifacts=AttemptArtifacts(
            shape=(8, 12, 3, 1),
            attributions=Artifact.of(bytes(2000)),
            blocks=ArtifactSection.at(10, b"index"),
            evidence=Artifact.of(b"{}"),
        ),
        error=None,
        cached_from=None,
    )
