"""Models that are games over the cells of a grid, explained by the real worker.

They detect which cells of a white picture are not black, that is, hidden.
"""

import io
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from service.infra.artifact_store import attributions_key, image_key, open_store
from service.infra.artifacts import Artifact
from service.infra.settings.worker import WorkerSettings
from service.infra.tracing import Tracer
from service.jobs.records import ProgressCount, State
from service.jobs.redis_keys import new_id
from service.schemas.documents import ImageInfo, Status
from service.schemas.fingerprint import model_ref
from service.schemas.requests import Grid, Outputs, ResolvedSettings
from tests.tiny import SPEC, card
from worker.explain_job import Explainer
from worker.interruptions import Canceled, JobControl
from worker.models.loading import LoadedModel
from worker.task import Task, TaskResult

SIDE, ROWS, COLUMNS = 24, 4, 6
CELLS = ROWS * COLUMNS
TERMS = np.random.default_rng(0).normal(size=(CELLS, 3))
ARBITRARY = np.random.default_rng(1).normal(size=(2**6, 3))


def additive(seen):
    """Add up each output over cells (N, CELLS): an attribution can express it exactly."""
    return seen @ TERMS


def saturating(seen):
    return np.tanh(additive(seen))


def even(seen):
    """Score a coalition and its complement alike."""
    return ((2 * seen - 1) @ TERMS) ** 2


def rough(seen):
    """Give scores that tell nothing about each other."""
    return np.sin(1e5 * (seen @ TERMS + 1))


def alike(seen):
    return np.repeat(additive(seen)[:, :1], 3, axis=1)


def counting(seen):
    """Count the cells."""
    return np.repeat(seen.sum(axis=1, keepdims=True), 3, axis=1)


def arbitrary(seen):
    """Draw a random score for each coalition of six squares of four cells."""
    squares = seen.reshape(-1, 2, 2, 3, 2).all(axis=(2, 4)).reshape(-1, 6)
    return ARBITRARY[(squares @ 2 ** np.arange(6)).astype(int)]


@dataclass
class Game:
    """A predictor of white pictures (N, SIDE, SIDE, 3): a function of the visible cells."""

    score: object
    on_call: object = lambda: None
    input_shape: tuple = (SIDE, SIDE, 3)
    n_outputs: int = 3
    backend: str = "none"
    device: str = "cpu"
    dtype: str = "float32"

    def __call__(self, pictures):
        self.on_call()
        height = self.input_shape[0] // ROWS
        cells = pictures[..., 0].reshape(len(pictures), ROWS, height, COLUMNS, -1)
        seen = (cells > 0).any(axis=(2, 4)).reshape(len(pictures), CELLS)
        return self.score(seen.astype(np.float64)).astype(np.float32)


@dataclass
class Case:
    """The settings of an explanation; by default those of the good one."""

    score: object = additive
    settings: dict = field(default_factory=dict)
    size: tuple[int, int] = (60, 60)
    mode: str = "RGB"  # of the upload
    white: object = "white"
    card: dict = field(default_factory=dict)
    cancel: bool = False
    compared: object = None  # the score of a second model
    compared_card: dict = field(default_factory=dict)


GOOD = {
    "method": "gaussian_process",
    "superpixels": Grid(kind="grid", rows=ROWS, columns=COLUMNS),
    "outputs": Outputs(indices=[0, 1]),
    "masker": "constant(0)",
    "max_evals": 400,
    "target_standard_error": 0.1,
    "metrics": ["insertion", "deletion", "keep_positive", "remove_negative"],
}


def ended(case) -> tuple[TaskResult, Any]:
    """Return the end of an explanation, and its npz, if any."""
    store = open_store("memory:")
    picture = io.BytesIO()
    form = "TIFF" if case.mode == "CMYK" else "PNG"
    Image.new(case.mode, case.size, case.white).save(picture, form)
    sent = Artifact.of(picture.getvalue())
    width, height = case.size
    settings = ResolvedSettings.model_validate(
        dict(SPEC.settings)
        | GOOD
        | {"compare_with": "other" if case.compared else None}
        | case.settings
        | {"model": "game"}
    )
    shared = {"input_shape": (SIDE, SIDE, 3), "output_count": 3, "labels": ["a", "b", "c"]}
    shared |= {"dtype": "float32"}
    described = card(name="game", **shared | case.card)
    other = card(name="other", **shared | case.compared_card)
    spec = SPEC.model_copy(
        update={
            "settings": settings,
            "model": model_ref("game", described.parts, settings.fit),
            "compared": model_ref("other", other.parts, settings.fit) if case.compared else None,
            "image": ImageInfo(
                sha256=sent.sha256, bytes=sent.size, format="PNG", width=width, height=height
            ),
        }
    )
    absent = dict.fromkeys(State.__dataclass_fields__)
    known = {"id": new_id(), "version": 2, "status": Status.RUNNING, "attempts": 1, "spec": spec}
    state = State(**absent | known | {"created_at": time.time(), "progress": ProgressCount(0, 0)})
    store.put(image_key(state.id), picture.getvalue())
    task = Task(state, "attempt", JobControl(deadline_s=600))

    calls = []

    def count():
        calls.append(1)
        if case.cancel and len(calls) == 5:
            task.control.interrupt(Canceled)

    models = {"game": LoadedModel(described, Game(case.score, count), ["a", "b", "c"])}
    if case.compared:
        second = Game(case.compared, input_shape=other.input_shape)
        models["other"] = LoadedModel(other, second, list(other.labels))
    explainer = Explainer(models, store, WorkerSettings(), Tracer())
    [(_, ending)] = explainer.explain([task])
    if ending.outcome is None:
        return ending, None
    return ending, np.load(io.BytesIO(store.get(attributions_key(state.id, "attempt"))))


def explained(case):
    """Return the outcome of an explanation by the real worker."""
    ending, _ = ended(case)
    assert ending.outcome, ending
    return ending.outcome


def arrays_of(case):
    """Return the arrays of an explanation."""
    return dict(ended(case)[1])
