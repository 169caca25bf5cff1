"""Requirements of every backend, compared with the eager Keras model."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.engine.games import random_picture
from tests.extras import import_or_skip
from worker.engine.errors import InvalidPictureError, PredictorError
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import explain
from worker.engine.scoring.precision import deviation, soft_pictures

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")

from worker.engine.backends.tensorflow import (  # noqa: E402
    FrozenPredictor,
    TensorFlowPredictor,
    frozen_graph,
)

pytestmark = pytest.mark.tensorflow
SHAPE = (20, 24, 3)
TOLERANCE = 1e-5  # of a score, which is below 1


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(6, activation="softmax"),
        ]
    )


def scaled(pictures):
    return pictures / 127.5 - 1


def tensorflow(model):
    return TensorFlowPredictor(model, scaled)


def frozen(model):
    return FrozenPredictor(model, scaled)


def openvino(model, precision="float32"):
    backend = import_or_skip("worker.engine.backends.openvino")
    graph = backend.read_graph(frozen_graph(model, scaled, SHAPE))
    return backend.OpenVINOPredictor(graph, precision)


def jax(model, dtype="float32"):
    """The layers of the model again, as functions of their weights."""
    jax = import_or_skip("jax")
    backend = import_or_skip("worker.engine.backends.jax")

    def forward(weights, pictures):
        kernel1, bias1, scale, shift, mean, variance, kernel2, bias2, dense, bias3 = weights
        x = jax.nn.relu(convolved(scaled(pictures).astype(dtype), kernel1) + bias1)
        x = (x - mean) / jax.numpy.sqrt(variance + 1e-3) * scale + shift
        x = jax.nn.relu(convolved(x, kernel2) + bias2)
        return jax.nn.softmax(x.mean(axis=(1, 2)) @ dense + bias3)

    def convolved(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (2, 2), "VALID", dimension_numbers=numbers)

    weights = [jax.numpy.asarray(weight, dtype) for weight in model.get_weights()]
    return backend.JaxPredictor(forward, weights, SHAPE, dtype)


BACKENDS = {
    "tensorflow": tensorflow,
    "tensorflow-frozen": frozen,
    "openvino": openvino,
    "jax": jax,
}


@pytest.fixture(scope="module", params=BACKENDS)
def predictor(request, model):
    return BACKENDS[request.param](model)


def pictures(count):
    return np.stack([random_picture(SHAPE, seed) for seed in range(count)])


def test_pictures_may_lie_in_memory_in_any_order(predictor):
    given = pictures(5)
    turned = np.moveaxis(np.ascontiguousarray(np.moveaxis(given, 0, -1)), -1, 0)
    assert not turned.flags.c_contiguous
    assert predictor(turned) == pytest.approx(predictor(given), abs=TOLERANCE)


def test_a_predictor_names_its_backend_and_number_type(model):
    for name, make in BACKENDS.items():
        predictor = make(model)
        assert (predictor.backend, predictor.dtype) == (name, "float32")
        assert predictor.device == "cpu" or predictor.device.startswith("gpu:0 ")
        assert (predictor.input_shape, predictor.n_outputs) == (SHAPE, 6)


def test_every_backend_gives_the_scores_of_the_eager_model(model, predictor):
    batch = pictures(11)
    scores = predictor(batch)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, np.array(model(scaled(batch))), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_the_score_of_a_picture_does_not_depend_on_the_batch_it_is_in(predictor, count):
    batch = pictures(70)
    np.testing.assert_allclose(
        predictor(batch[:count]), predictor(batch)[:count], rtol=0, atol=TOLERANCE
    )


def test_on_openvino_groups_and_remainders_get_the_scores_of_single_pictures(model):
    predictor = openvino(model)
    batch = pictures(67)
    alone = np.concatenate([predictor(picture[np.newaxis]) for picture in batch])
    for count in (15, 16, 17, 31, 32, 33, 64, 67):  # groups of 16, spread over cores
        np.testing.assert_allclose(predictor(batch[:count]), alone[:count], rtol=0, atol=1e-6)


def test_the_same_pictures_get_the_same_bits_from_any_thread(predictor):
    batch = pictures(5)
    here = predictor(batch)
    with ThreadPoolExecutor(2) as threads:
        there = list(threads.map(predictor, [batch] * 6))
    assert all(scores.tobytes() == here.tobytes() for scores in there)


def test_scores_may_be_modified_by_the_caller(predictor):
    batch = pictures(3)
    scores = predictor(batch)
    kept = scores.copy()
    predictor(batch[::-1].copy())
    batch[:] = 0
    scores += 0  # writable
    assert (scores == kept).all()


def test_values_of_every_backend_are_those_of_tensorflow(model, predictor):
    request = Request(masker=MaskerSpec("blur", (9, 9)), outputs=Top(2), max_evals=60)
    reference = explain(tensorflow(model), pictures(1)[0], request).attribution.values
    values = explain(predictor, pictures(1)[0], request).attribution.values
    assert np.abs(values - reference).max() <= TOLERANCE


@pytest.mark.parametrize("name", ["tensorflow", "tensorflow-frozen", "jax"])
def test_an_explanation_never_traces_again(model, name):
    predictor = BACKENDS[name](model)
    traced = predictor.traces
    explain(predictor, pictures(1)[0], Request(masker=MaskerSpec("mean"), max_evals=30), batch=7)
    explain(predictor, pictures(1)[0], Request(masker=MaskerSpec("mean"), max_evals=60))
    assert predictor.traces == traced == (2 if name == "jax" else 1)  # jax: one per batch size


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 24, 20, 3), np.float32), np.zeros(SHAPE, np.float32), np.zeros((2, *SHAPE))],
)
def test_pictures_of_a_wrong_shape_or_type_are_refused(predictor, wrong):
    with pytest.raises(InvalidPictureError, match=r"takes float32 of shape \(N, 20, 24, 3\)"):
        predictor(wrong)


# --- Reduced precision ---------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "at_most"), [("float16", 3e-3), ("bfloat16", 3e-2)])
def test_a_draft_on_jax_deviates_by_about_its_rounding(model, dtype, at_most):
    draft = jax(model, dtype)
    error = deviation(draft, jax(model))
    assert draft.dtype == dtype
    assert 0 < error.median <= error.largest < at_most


def test_a_draft_on_openvino_computes_in_bfloat16_or_is_refused(model):
    """Half of all CPUs cannot, and OpenVINO then silently uses float32."""
    openvino(model)  # skips the test if it is missing
    capable = "BF16" in sys.modules["openvino"].Core().get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    )
    if not capable:
        with pytest.raises(PredictorError, match="computes in float32 on this CPU, not in bfloat1"):
            openvino(model, "bfloat16")
        return
    draft = openvino(model, "bfloat16")
    assert draft.dtype == "bfloat16"
    assert 0 < deviation(draft, openvino(model)).largest < 3e-2


def test_a_model_has_no_error_against_itself(model):
    predictor = tensorflow(model)
    assert deviation(predictor, predictor).largest == 0


@pytest.mark.parametrize("shape", [(20, 24, 3), (28, 28, 1), (1, 1, 3)])
def test_soft_pictures_span_all_intensities_and_are_always_the_same(shape):
    pictures = soft_pictures(shape, 3)
    assert pictures.shape == (3, *shape)
    assert pictures.dtype == np.float32
    assert (pictures.min(axis=(1, 2, 3)) == 0).all()
    assert pictures.max(axis=(1, 2, 3)) == pytest.approx(255)
    assert (pictures == soft_pictures(shape, 3)).all()


# --- OpenVINO ------------------------------------------------------------------------------------


def test_openvino_sends_no_telemetry():
    """In a fresh interpreter, OpenVINO's telemetry package is not even imported."""
    import_or_skip("worker.engine.backends.openvino")
    script = (
        "import sys, worker.engine.backends.openvino\n"
        "print(*(name for name in sys.modules if name.startswith('openvino_telemetry.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
