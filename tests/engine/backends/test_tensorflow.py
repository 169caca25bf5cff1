"""Features of the TensorFlow backend beyond the requirements of every backend."""

import os

import numpy as np
import pytest

from tests.engine.games import random_picture
from worker.adapters.engine_request import read_masker
from worker.engine.errors import PredictorError
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import explain

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from worker.engine.backends.tensorflow import TensorFlowPredictor  # noqa: E402

pytestmark = pytest.mark.tensorflow
SHAPE = (20, 24, 3)
REQUEST = Request(masker=MaskerSpec("inpaint_telea"), outputs=Top(3), max_evals=200)


def network(outputs=6, **last):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(outputs, **last),
        ]
    )


def scaled(pictures):
    return pictures / 127.5 - 1


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def predictor(model):
    return TensorFlowPredictor(model, scaled)


def pictures(count):
    return np.stack([random_picture(SHAPE, seed) for seed in range(count)])


def test_scores_are_those_of_the_model_after_preprocessing(model, predictor):
    batch = pictures(5)
    scores = predictor(batch)
    assert scores.dtype == np.float32
    assert (scores == np.array(model(scaled(batch)))).all()  # compiled equals eager, bit by bit


def test_values_do_not_depend_on_the_physical_batch(predictor):
    """Rounding of matrix products depends on the number of rows: 1e-7 of a score."""
    picture = pictures(1)[0]
    whole = explain(predictor, picture, REQUEST, batch=64).attribution.values
    parts = explain(predictor, picture, REQUEST, batch=8).attribution.values
    assert np.abs(parts - whole).max() <= 1e-5 * np.abs(whole).max()


def test_the_same_job_gives_the_same_bits(predictor):
    picture = pictures(1)[0]
    first, second = (explain(predictor, picture, REQUEST).attribution for _ in range(2))
    assert first.values.tobytes() == second.values.tobytes()


@pytest.mark.parametrize("masker", ["inpaint_telea", "blur(9,9)"])
def test_values_of_a_keras_model_equal_shaps(model, predictor, shap_partition, masker):
    picture = pictures(1)[0]
    explained = explain(
        predictor, picture, Request(masker=read_masker(masker), outputs=Top(3), max_evals=300)
    )
    values, base_values = shap_partition(
        lambda batch: np.array(model(scaled(batch))),
        picture,
        masker,
        max_evals=300,
        batch_size=50,
        outputs=explained.outputs,
    )
    ours = explained.attribution
    assert np.abs(ours.values - values).max() <= 1e-9 * np.abs(values).max()
    assert (ours.base_values == base_values).all()


def test_preprocessing_in_place_does_not_change_the_callers_pictures(model):
    """Keras's preprocess_input changes float arrays in place, except when compiled."""
    predictor = TensorFlowPredictor(model, keras.applications.resnet50.preprocess_input)
    batch = pictures(2)
    before = batch.copy()
    scores = predictor(batch)
    assert (batch == before).all()
    expected = model(keras.applications.resnet50.preprocess_input(before.copy()))
    assert scores == pytest.approx(np.array(expected), rel=1e-5)


def test_scores_do_not_change_if_the_buffer_of_pictures_is_reused():
    predictor = TensorFlowPredictor(
        lambda x: tf.reshape(x, (-1, 12)), lambda x: x, input_shape=(2, 2, 3)
    )
    batch = np.full((2, 2, 2, 3), 7, dtype=np.float32)
    scores = predictor(batch)
    batch[:] = 0
    assert (scores == 7).all()


def test_half_precision_scores_become_float32(model):
    half = TensorFlowPredictor(lambda x: tf.cast(model(x), tf.float16), scaled, input_shape=SHAPE)
    assert half(pictures(2)).dtype == np.float32


@pytest.mark.parametrize("squeeze", [False, True])
def test_one_score_per_picture_counts_as_one_output(squeeze):
    single = network(outputs=1)
    predictor = TensorFlowPredictor(
        lambda x: single(x)[:, 0] if squeeze else single(x), scaled, input_shape=SHAPE
    )
    assert predictor.n_outputs == 1
    assert predictor(pictures(3)).shape == (3, 1)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (lambda x: {"scores": x[:, 0, 0]}, "dict"),
        (lambda x: [x[:, 0, 0], x[:, 0, 1]], "list"),
        (lambda x: x, r"shape \(None, 20, 24, 3\)"),
        (lambda x: tf.argmax(x[:, 0, 0], axis=1), "int64"),
        (lambda x: x[:1, 0, 0], "1 rows for 2 pictures"),
    ],
)
def test_a_model_without_a_row_of_scores_per_picture_is_refused(output, found):
    with pytest.raises(PredictorError, match=found):
        TensorFlowPredictor(output, scaled, input_shape=SHAPE)


def test_a_model_with_an_open_input_size_needs_a_shape():
    with pytest.raises(PredictorError, match="give input_shape"):
        TensorFlowPredictor(lambda x: x[:, 0, 0], scaled)
    anywhere = keras.Sequential(
        [keras.layers.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(PredictorError, match="give input_shape"):
        TensorFlowPredictor(anywhere, scaled)
    assert TensorFlowPredictor(anywhere, scaled, input_shape=SHAPE).n_outputs == 3
