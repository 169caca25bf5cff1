"""Scores of coalitions of regions equal those that the explanation saw."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.images.decoding import decode_picture
from service.infra.artifact_store import Store, attributions_key, image_key, open_store
from service.infra.artifacts import Artifact
from service.infra.settings.worker import WorkerSettings
from service.infra.tracing import Tracer
from service.jobs.records import CoalitionSpec, ProgressCount, State
from service.jobs.redis_keys import new_id
from service.schemas.documents import ErrorCode, ImageInfo, LabelMapInfo, Status
from service.schemas.fingerprint import model_ref
from service.schemas.requests import Grid, Labels, Outputs, Pixels, ResolvedSettings, Slic
from service.schemas.scores import Coalition, CoalitionScores, MaskedPicture
from tests.tiny import SPEC, card
from worker.adapters.engine_request import read_masker
from worker.adapters.model_input import fit_picture
from worker.engine.game.image_tree import children, empty_coalition, region, whole
from worker.engine.masking.maskers import make_masker
from worker.explain_job import Explainer
from worker.interruptions import JobControl
from worker.models.loading import LoadedModel
from worker.task import Task, TaskResult

NAMES = ["a", "b", "c"]
PHOTO = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
MASKERS = ["inpaint_telea", "inpaint_ns", "blur(5,3)", "mean", "constant(7)"]
GRID = {"method": "exact", "superpixels": Grid(kind="grid", rows=2, columns=3)}
PLAYERS: dict[str, dict[str, Any]] = {
    "grid": GRID,
    "slic": {"method": "exact", "superpixels": Slic(kind="slic", segments=6)},
    "labels": {"method": "exact", "superpixels": Labels(kind="labels")},
    "pixels": {"superpixels": Pixels(kind="pixels", channels="together"), "max_evals": 40},
    "channels": {"superpixels": Pixels(kind="pixels"), "max_evals": 40},
}


class Recorder:
    """A model whose scores are a softmax of sums over the picture; records its pictures."""

    n_outputs = len(NAMES)
    backend, device, dtype = "none", "cpu", "float32"

    def __init__(self, channels: int, steepness: float) -> None:
        self.input_shape = (16, 24, channels)
        self.seen: dict[bytes, Any] = {}
        self._weights = np.random.default_rng(1).normal(size=(16 * 24 * channels, 3))
        self._weights *= steepness / 3e4

    def __call__(self, pictures):
        exponentials = np.exp(pictures.reshape(len(pictures), -1) @ self._weights)
        scores = exponentials / exponentials.sum(axis=1, keepdims=True)
        self.seen |= dict(zip(map(bytes, pictures), scores, strict=True))
        return scores.astype(np.float32)


class Explained:
    """A photo that the worker has explained, and requests for coalitions of its regions."""

    def __init__(self, *, channels: int = 3, steepness: float = 1, **settings: Any) -> None:
        self.store: Store = open_store("memory:")
        self.model = Recorder(channels, steepness)
        shape = self.model.input_shape
        self.card = card(
            name="game", input_shape=shape, output_count=3, labels=NAMES, dtype="float32"
        )
        chosen = {"model": "game", "masker": "mean", "outputs": Outputs(indices=[2, 0]), **settings}
        self.settings = ResolvedSettings.model_validate(dict(SPEC.settings) | chosen)
        other = self.card.model_copy(update={"name": "other"})
        self.other = LoadedModel(other, Recorder(channels, 2 * steepness), NAMES)
        self.id = new_id()
        file, labels, label_map = io.BytesIO(), io.BytesIO(), None
        Image.fromarray(PHOTO).save(file, "PNG")
        self.store.put(image_key(self.id), file.getvalue())
        if self.settings.superpixels.kind == "labels":
            Image.fromarray((np.indices((30, 40)) // 20).sum(axis=0).astype(np.uint8)).save(
                labels, "PNG"
            )
            sent = Artifact.of(labels.getvalue())
            label_map = LabelMapInfo(
                sha256=sent.sha256, bytes=sent.size, width=40, height=30, regions=3
            )
            self.store.put(image_key(self.id).replace("image", "label_map"), labels.getvalue())
        sent = Artifact.of(file.getvalue())
        self.spec = SPEC.model_copy(
            update={
                "settings": self.settings,
                "model": model_ref("game", self.card.parts, self.settings.fit),
                "image": ImageInfo(
                    sha256=sent.sha256, bytes=sent.size, format="PNG", width=40, height=30
                ),
                "label_map": label_map,
            }
        )
        result = self.run(self.id, self.spec)
        assert result.outcome, result
        assert result.artifacts
        self.outcome, self.artifacts = result.outcome, result.artifacts
        arrays = np.load(io.BytesIO(self.store.get(attributions_key(self.id, "a" * 32))))
        self.regions = arrays["regions"]
        self.count = len(arrays["region_values"])

    def run(self, id_: str, spec: Any) -> TaskResult:
        absent = dict.fromkeys(State.__dataclass_fields__)
        known = {"id": id_, "version": 2, "status": Status.RUNNING, "attempts": 1, "spec": spec}
        known |= {"created_at": 0.0, "progress": ProgressCount(0, 0)}
        self.control = JobControl(deadline_s=600)
        task = Task(State(**absent | known), "a" * 32, self.control)  # type: ignore[arg-type]
        models = {"game": LoadedModel(self.card, self.model, NAMES), "other": self.other}
        explainer = Explainer(models, self.store, WorkerSettings(), Tracer())  # type: ignore[arg-type]
        [(_, ending)] = explainer.explain([task])
        assert isinstance(ending, TaskResult)
        return ending

    def ask(
        self, *coalitions: Coalition, outputs: tuple[int, ...] = (2, 0), picture: bool = False
    ) -> TaskResult:
        asked = CoalitionSpec(
            explanation=self.id,
            result="a" * 32,
            artifacts=self.artifacts,
            explained=tuple((output.index, output.label) for output in self.outcome.outputs),
            regions=self.count,
            coalitions=coalitions,
            outputs=() if picture else outputs,
            picture=picture,
        )
        return self.run("scr_" + "0" * 32, self.spec.model_copy(update={"coalitions": asked}))

    def scores(self, *coalitions: Coalition, **options: Any) -> CoalitionScores:
        answer = self.ask(*coalitions, **options).answer
        assert isinstance(answer, CoalitionScores)
        return answer


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("players", PLAYERS)
@pytest.mark.parametrize("masker", MASKERS)
def test_coalitions_get_the_scores_that_the_explanation_saw(masker, players, fit) -> None:
    """The pictures are the same, byte by byte."""
    made = Explained(masker=masker, fit=fit, **PLAYERS[players])
    before = dict(made.model.seen)
    one = Coalition(shown=part_of(made) if players in ("pixels", "channels") else [1])
    found = made.scores(Coalition(hidden=[]), Coalition(shown=[]), one)
    assert made.model.seen.keys() == before.keys()
    for k, output in enumerate(made.outcome.outputs):
        assert found.outputs[k].index == output.index
        assert found.outputs[k].label == output.label
        full, base = output.score, output.base_value
        assert [row[k] for row in found.scores[:2]] == pytest.approx([full, base], rel=1e-6)
        ends = found.outputs[k].score, found.outputs[k].base_value
        assert ends == pytest.approx((full, base), rel=1e-6)


def test_scores_of_a_comparison_are_of_both_models_and_their_difference() -> None:
    made = Explained(compare_with="other", link="logit", **GRID)
    found = made.scores(Coalition(hidden=[]), Coalition(shown=[]), Coalition(hidden=[1]))
    assert [each.index for each in found.outputs] == [2, 5, 8, 0, 3, 6]
    assert found.outputs[2].label == "c (game minus other)"
    for k, output in enumerate(made.outcome.outputs):
        ends = [row[k] for row in found.scores[:2]]
        assert ends == pytest.approx([output.score, output.base_value], rel=1e-6, abs=1e-6)
    hidden = found.scores[2]
    assert hidden[2] == hidden[0] - hidden[1] != 0
    assert made.control.work.evaluations == 2 * (2 + 3)


def part_of(made: Explained) -> list[int]:
    """Return the regions in the half that Partition evaluates first."""
    placed = made.outcome.placement
    inside = made.regions[placed.top : placed.bottom, placed.left : placed.right]
    shape = (*inside.shape[:2], 3)
    halves = children(whole(shape))
    assert halves
    within = np.broadcast_to(inside.reshape(*shape[:2], -1), shape)[region(halves[0])]
    return np.unique(within).tolist()


@pytest.mark.parametrize("steepness", [1, 400])
@pytest.mark.parametrize("players", PLAYERS)
def test_scores_are_linked_as_the_explanations_are(players, steepness) -> None:
    """Also for probabilities so near to 1 that the sum of the others stands for the rest."""
    all_outputs = {"outputs": Outputs(indices=[0, 1, 2])}
    made = Explained(link="logit", steepness=steepness, **PLAYERS[players], **all_outputs)
    coalitions = Coalition(hidden=[]), Coalition(shown=[]), Coalition(hidden=[0])
    found = made.scores(*coalitions, outputs=(0, 1, 2))
    expected = [[output.score, output.base_value] for output in made.outcome.outputs]
    np.testing.assert_allclose(np.transpose(found.scores[:2]), expected, rtol=1e-6)
    assert found.scores[2] != found.scores[0]


def test_values_of_players_follow_from_the_scores_of_all_coalitions() -> None:
    """For two players, by the definition of the Shapley value."""
    made = Explained(method="exact", superpixels=Grid(kind="grid", rows=1, columns=2))
    (base, left, right, both), k = (
        made.scores(*(Coalition(shown=shown) for shown in ([], [0], [1], [0, 1]))).scores,
        0,
    )
    npz = np.load(io.BytesIO(made.store.get(attributions_key(made.id, "a" * 32))))
    value = ((left[k] - base[k]) + (both[k] - right[k])) / 2
    assert npz["region_values"][0, k] == pytest.approx(value, rel=1e-6)


def test_any_outputs_of_the_model_are_scored_in_the_requested_order() -> None:
    made = Explained(**GRID)
    found = made.scores(Coalition(hidden=[0]), outputs=(1, 2))
    assert [(output.index, output.label) for output in found.outputs] == [(1, "b"), (2, "c")]
    assert found.scores[0][1] == made.scores(Coalition(hidden=[0])).scores[0][0]
    refused = made.ask(Coalition(hidden=[0]), outputs=(3,)).error
    assert refused
    assert refused.code is ErrorCode.INVALID_SETTINGS


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("masker", MASKERS)
def test_a_masked_picture_is_the_models_input_in_8_bits(masker, channels) -> None:
    made = Explained(masker=masker, channels=channels, **GRID)
    calls = len(made.model.seen)
    answer = made.ask(Coalition(shown=[]), picture=True).answer
    assert isinstance(answer, MaskedPicture)
    shown = np.asarray(Image.open(io.BytesIO(answer.png)))
    upload = decode_picture(made.store.get(image_key(made.id)), max_pixels=10_000)
    pixels, _ = fit_picture(upload.pixels, made.model.input_shape, fit="crop")
    [hidden] = make_masker(read_masker(masker), pixels)(empty_coalition(pixels.shape))
    np.testing.assert_array_equal(shown.reshape(hidden.shape), hidden.round())
    assert len(made.model.seen) == calls  # no picture was scored


def test_model_usage_of_scores_is_counted() -> None:
    made = Explained(**GRID)
    made.scores(Coalition(hidden=[0]), Coalition(hidden=[1]))
    assert made.control.work
    assert made.control.work.evaluations == 4  # including the empty and the full coalition
    assert made.control.work.batches == 1
    made.ask(Coalition(hidden=[0]), picture=True)
    assert made.control.work is None


def test_without_the_arrays_there_is_no_result() -> None:
    made = Explained(**GRID)
    made.store.delete(image_key(made.id))  # it is not needed
    assert made.ask(Coalition(hidden=[0])).answer
    key = attributions_key(made.id, "a" * 32)
    content = made.store.get(key)
    for change, reason in (
        (lambda: made.store.put(key, content[:50] + bytes(len(content) - 50)), "damaged"),
        (lambda: made.store.delete(key), "no longer in the store"),
    ):
        change()
        error = made.ask(Coalition(hidden=[0])).error
        assert error
        assert error.code is ErrorCode.NO_RESULT
        assert reason in error.detail


def test_another_model_than_the_explanations_scores_nothing() -> None:
    made = Explained(**GRID)
    assert made.card.parts
    parts = made.card.parts.model_copy(update={"weights": "sha256:" + "0" * 64})
    made.card = made.card.model_copy(update={"parts": parts})
    seen = len(made.model.seen)
    error = made.ask(Coalition(hidden=[0])).error
    assert error
    assert error.code is ErrorCode.MODEL_CHANGED
    assert "differs in weights" in error.detail
    assert len(made.model.seen) == seen


def test_regions_that_do_not_match_the_record_are_damage() -> None:
    made = Explained(**GRID)
    made.count -= 1
    error = made.ask(Coalition(hidden=[0])).error
    assert error
    assert error.code is ErrorCode.NO_RESULT


def test_nan_is_reported_as_a_failure_of_the_model() -> None:
    made = Explained(**GRID)
    made.model._weights = made.model._weights * np.nan
    error = made.ask(Coalition(hidden=[0])).error
    assert error
    assert error.code is ErrorCode.MODEL_FAILED
