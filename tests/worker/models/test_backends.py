"""Backends and precisions that a models file requests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import worker.bundled
from service.schemas.fingerprint import ModelParts
from service.schemas.models import ModelStatus
from tests.extras import QUICKLY, import_or_skip
from tests.worker.models.tiny_models import channel_means, dense, export
from worker.engine.scoring.precision import soft_pictures

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

CIFAR10 = Path(worker.bundled.__file__).parent / "cifar10.keras"
TOLERANCE = 1e-5  # of a probability


def cifar10(name, keys):
    return f'[models.{name}]\nfile = "{CIFAR10}"\n{keys}\n'


@pytest.fixture(scope="module")
def eager():
    """The bundled model's scores by eager Keras."""
    return np.asarray(keras.saving.load_model(CIFAR10)(soft_pictures((32, 32, 3), 5)))


@pytest.mark.parametrize("backend", ["tensorflow", "tensorflow-frozen", "openvino"])
def test_the_bundled_model_has_the_same_scores_and_digest_on_every_backend(serve, eager, backend):
    if backend == "openvino":
        import_or_skip("worker.engine.backends.openvino")
    registry = serve(cifar10("plain", "") + cifar10("other", f'backend = "{backend}"'))
    plain, other = registry.get("plain"), registry.get("other")
    scores = other.predictor(soft_pictures((32, 32, 3), 5))
    np.testing.assert_allclose(scores, eager, rtol=0, atol=TOLERANCE)
    assert (other.card.backend, other.card.dtype) == (backend, "float32")
    assert other.card.parts.weights == plain.card.parts.weights
    assert other.card.precision_error is None


def test_a_saved_model_is_frozen_too(serve, tmp_path):
    export(tmp_path / "means", tf.TensorSpec((None, 8, 8, 3), tf.uint8), {"scores": channel_means})
    import_or_skip("worker.engine.backends.openvino")
    pictures = np.full((2, 8, 8, 3), 41.7, np.float32)
    for backend in ("tensorflow-frozen", "openvino"):
        model = serve(f'[models.a]\nsaved_model = "means"\nbackend = "{backend}"').get("a")
        np.testing.assert_allclose(model.predictor(pictures), np.full((2, 3), 42.0), rtol=1e-6)


def test_a_draft_is_served_with_its_error_or_refused_on_this_processor(serve):
    backend = import_or_skip("worker.engine.backends.openvino")
    registry = serve(cifar10("draft", 'backend = "openvino"\nprecision = "bfloat16"'))
    if "BF16" in backend.openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert registry.get("draft").card.dtype == "bfloat16"
        assert 0 < registry.get("draft").card.precision_error.largest < 0.1
    else:
        (card,) = registry.cards()
        assert card.status is ModelStatus.UNAVAILABLE
        assert "computes in float32 on this CPU, not in bfloat16" in card.reason


# --- What is missing ------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", ["openvino", "jax"])
def test_a_missing_extra_is_named_and_the_other_models_are_served(serve, monkeypatch, extra):
    monkeypatch.setitem(sys.modules, extra, None)  # as if it were not installed
    registry = serve(cifar10("plain", "") + cifar10("other", f'backend = "{extra}"'))
    plain, other = registry.cards()
    assert plain.status is ModelStatus.AVAILABLE
    assert other.reason == (
        f"backend {extra} needs the extra {extra}: pip install 'shapshot[{extra}]'"
    )


def test_jax_beside_tensorflow_is_refused_with_a_remedy(serve):
    import_or_skip("jax")
    registry = serve(cifar10("plain", "") + cifar10("other", 'backend = "jax"'))
    assert registry.keras_backend == "tensorflow"
    assert registry.get("plain").predictor.n_outputs == 10
    assert registry.cards()[1].reason == (
        "backend jax needs Keras on jax; this worker runs Keras on tensorflow, which its default "
        "model needs: list models with backend jax in a separate models file, for separate workers"
    )


# --- Keras on JAX, in a process of its own --------------------------------------------------------


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory):
    """The scores of a worker with a models file for JAX."""
    import_or_skip("jax")
    folder = tmp_path_factory.mktemp("jax")
    keras.utils.set_random_seed(0)
    dense((8, 8, 3)).save(folder / "tiny.keras")
    keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(1e3), layers.Flatten(), layers.Dense(2)]
    ).save(folder / "large.keras")
    (folder / "models.toml").write_text(
        cifar10("single", 'backend = "jax"')
        + '[models.half]\nfile = "tiny.keras"\npreprocessing = "tf"\nbackend = "jax"\n'
        + 'precision = "float16"\n[models.stranger]\nfile = "tiny.keras"\n'
        + '[models.large]\nfile = "large.keras"\nbackend = "jax"\nprecision = "float16"\n'
    )
    script = [sys.executable, "-m", "tests.worker.models.serve_on_jax"]
    subprocess.run(
        [*script, folder / "models.toml", folder / "answers.npz"],
        env=os.environ | {"KERAS_BACKEND": "jax", "XLA_FLAGS": QUICKLY},
        check=True,
    )
    with np.load(folder / "answers.npz") as answers:
        return dict(answers), keras.saving.load_model(folder / "tiny.keras")


def test_keras_on_jax_gives_the_scores_of_tensorflow(on_jax, eager):
    answers, _ = on_jax
    assert answers["keras"] == "jax"
    np.testing.assert_allclose(answers["single scores"], eager, rtol=0, atol=TOLERANCE)
    card = json.loads(str(answers["single card"]))
    assert (card["backend"], card["dtype"], card["reason"]) == ("jax", "float32", None)
    assert "single error" not in answers


def test_the_digest_does_not_depend_on_the_backend_of_keras(on_jax, serve):
    answers, _ = on_jax
    here = serve(cifar10("single", "")).get("single").card.parts
    there = ModelParts.model_validate(json.loads(str(answers["single card"]))["parts"])
    assert there == here.model_copy(update={"backend": "jax"})


def test_a_draft_on_jax_deviates_by_at_most_its_reported_error(on_jax):
    answers, tiny = on_jax
    assert json.loads(str(answers["half card"]))["dtype"] == "float16"
    exact = np.asarray(tiny(soft_pictures((8, 8, 3), 5) / 127.5 - 1))
    off = np.abs(answers["half scores"] - exact).max()
    assert 0 < off <= answers["half error"] * (1 + 1e-3)  # of these and three more pictures


def test_a_draft_that_overflows_is_refused(on_jax):
    answers, _ = on_jax
    reason = json.loads(str(answers["large card"]))["reason"]
    assert reason == "some of its scores are NaN or infinite in float16"


def test_a_model_of_tensorflow_beside_those_of_jax_is_refused(on_jax):
    answers, _ = on_jax
    reason = json.loads(str(answers["stranger card"]))["reason"]
    assert reason.startswith("backend auto needs Keras on tensorflow; this worker runs")
