"""Models whose scores are NaN, openly or hidden, and what their cards and warnings say."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers, ops

from service.infra.artifact_store import open_store
from service.infra.settings.worker import WorkerSettings
from service.infra.tracing import Tracer
from service.schemas.fingerprint import model_ref
from service.schemas.warnings import WarningCode
from tests.extras import import_or_skip
from tests.worker.test_explain_job import begun
from worker.explain_job import Explainer
from worker.task import TaskResult

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
    "ignore:invalid value encountered:RuntimeWarning",
)
ONE_COLOUR = ["black", "white", "one colour"]


def scaled(before, *middle):
    """Make a model that first scales each picture by its own numbers."""
    keras.utils.set_random_seed(0)
    pictures = keras.Input((16, 24, 3))
    x = before(pictures)
    for layer in middle:
        x = layer(x)
    scores = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pictures, scores)


def own_range(x):
    low = ops.min(x, axis=(1, 2, 3), keepdims=True)
    return (x - low) / (ops.max(x, axis=(1, 2, 3), keepdims=True) - low)


def by_largest(x):
    return x / ops.max(x, axis=(1, 2, 3), keepdims=True)


@pytest.fixture
def load(serve, tmp_path):
    def load(model, kind="keras", keys=""):
        if kind == "keras":
            model.save(tmp_path / "dozer.keras")
            where = 'file = "dozer.keras"'
        else:
            model.export(tmp_path / "dozer", verbose=False)
            where = 'saved_model = "dozer"'
        return serve(f"[models.dozer]\n{where}\n{keys}\n")

    return load


@pytest.mark.parametrize("kind", ["keras", "saved"])
@pytest.mark.parametrize(
    ("before", "pictures"),
    [(own_range, ONE_COLOUR[:2]), (by_largest, ["black"])],
)
def test_nan_hidden_by_a_fused_layer_is_on_the_card(load, before, pictures, kind):
    """OpenVINO's fused ReLU turns NaN into 0 on any CPU, TensorFlow's only on some."""
    import_or_skip("openvino")
    network = scaled(before, layers.Conv2D(4, 3, activation="relu"))
    model = load(network, kind, 'backend = "openvino"').get("dozer")
    black = np.zeros((2, 16, 24, 3), np.float32)
    assert np.isfinite(model.predictor(black)).all()  # the NaN is hidden
    assert np.isnan(model.unfused(black)).all()
    [warning] = model.card.warnings
    assert warning.code == "nan_hidden"
    assert warning.pictures == pictures
    assert "black" in warning.detail


@pytest.mark.parametrize("before", [own_range, by_largest])
def test_visible_nan_is_on_the_card(load, before):
    card = load(scaled(before)).get("dozer").card
    [warning] = card.warnings
    assert warning.code == "nan_scores"
    assert "black" in warning.pictures


@pytest.mark.parametrize("backend", ["tensorflow", "tensorflow-frozen", "openvino"])
def test_a_model_without_nan_has_no_warning_on_any_backend(load, backend):
    if backend == "openvino":
        import_or_skip("openvino")
    network = scaled(lambda x: x / 255, layers.Conv2D(4, 3, activation="relu"))
    model = load(network, keys=f'backend = "{backend}"').get("dozer")
    assert (model.card.warnings, model.unfused) == ([], None)


@pytest.mark.parametrize("backend", ["tensorflow", "tensorflow-frozen"])
@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_nan_is_reported_whether_the_cpu_hides_it_or_not(load, backend, kind):
    network = scaled(by_largest, layers.Conv2D(4, 3, activation="relu"))
    model = load(network, kind, f'backend = "{backend}"').get("dozer")
    black = np.zeros((2, 16, 24, 3), np.float32)
    shows = not np.isfinite(model.predictor(black)).all()
    assert shows or np.isnan(model.unfused(black)).all()
    [warning] = model.card.warnings
    assert (warning.code, warning.pictures) == ("nan_scores" if shows else "nan_hidden", ["black"])


@pytest.mark.parametrize(
    ("masker", "told"), [("constant(0)", True), ("constant(90)", False), ("blur(3,3)", False)]
)
def test_an_explanation_with_a_masker_that_causes_nan_has_a_warning(load, masker, told):
    """A grey photo and a model that divides by the largest pixel: only black gives NaN."""
    import_or_skip("openvino")  # hides NaN on any CPU
    network = scaled(by_largest, layers.Conv2D(4, 3, activation="relu"))
    registry = load(network, keys='backend = "openvino"')
    store = open_store("memory:")
    task = begun(store, 50, masker=masker)
    model = model_ref("dozer", registry.get("dozer").card.parts, "crop")
    spec = task.state.spec.model_copy(update={"model": model})
    explainer = Explainer(registry, store, WorkerSettings(), Tracer())
    [(_, ending)] = explainer.explain([replace(task, state=replace(task.state, spec=spec))])
    assert isinstance(ending, TaskResult)
    found = [each for each in ending.outcome.warnings if each.code is WarningCode.NAN_HIDDEN]
    assert len(found) == told
    assert all("with nothing visible" in each.detail for each in found)
