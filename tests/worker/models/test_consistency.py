"""Only functions of one picture are served: models that violate this, and some that do not."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from service.schemas.models import ModelStatus
from tests.worker.models.tiny_models import export
from worker.models.consistency import trial_pictures

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

SHAPE = (16, 16, 3)


def network(middle):
    """Make a small classifier with this layer between its convolution and its head."""
    keras.utils.set_random_seed(0)
    pictures = keras.Input(SHAPE)
    features = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(pictures))
    pooled = layers.GlobalAveragePooling2D()(middle(features))
    return keras.Model(pictures, layers.Dense(3, activation="softmax")(pooled))


def batch_mean(x):
    return x - ops.mean(x, axis=0, keepdims=True)


def batch_range(x):
    """Scale by min and max of the whole batch, a common mistake in preprocessing."""
    return (x - ops.min(x)) / (ops.max(x) - ops.min(x) + 1e-3)


def as_for_training(x):
    return layers.BatchNormalization()(x, training=True)


WRONG = {
    "mean of the batch": batch_mean,
    "range of the batch": batch_range,
    "centred over the batch and back but for a hundredth": lambda x: x - 0.01 * ops.mean(x, axis=0),
    "rolled along the batch": lambda x: ops.roll(x, 1, axis=0),
    "first picture added": lambda x: x + 0.05 * ops.take(x, [0], axis=0),
    "largest of the batch": lambda x: x / (1 + ops.max(x)),
}
AT_RANDOM = {
    "dropout of 2 %": lambda x: layers.Dropout(0.02)(x, training=True),
    "dropout of 2 % of the channels": lambda x: layers.SpatialDropout2D(0.02)(x, training=True),
    "noise": lambda x: layers.GaussianNoise(0.02)(x, training=True),
}
RIGHT = {
    "nothing": lambda x: x,
    "normalisation of each picture": lambda x: layers.LayerNormalization()(x),
    "normalisation of groups": lambda x: layers.GroupNormalization(4)(x),
    "BatchNormalization": lambda x: layers.BatchNormalization()(x),
    "range of each picture": lambda x: x / (1 + ops.max(x, axis=(1, 2, 3), keepdims=True)),
    "dropout": lambda x: layers.Dropout(0.5)(x),
}


@pytest.fixture
def card_of(serve, tmp_path):
    def load(middle, kind="keras", keys=""):
        model = network(middle)
        if kind == "keras":
            model.save(tmp_path / "a.keras")
            where = 'file = "a.keras"'
        else:
            model.export(tmp_path / "a", verbose=False)
            where = 'saved_model = "a"'
        [card] = serve(f"[models.a]\n{where}\n{keys}\n").cards()
        return card

    return load


@pytest.mark.parametrize("kind", ["keras", "saved"])
@pytest.mark.parametrize("middle", WRONG.values(), ids=WRONG)
def test_a_score_that_depends_on_the_rest_of_the_batch_is_refused(card_of, middle, kind):
    card = card_of(middle, kind)
    assert card.status is ModelStatus.UNAVAILABLE
    assert card.reason.startswith("a score depends on more than its picture: ")
    assert "over the whole batch" in card.reason
    assert float(re.search(r"differ by (\S+) of", card.reason)[1]) > 1e-4


def test_a_saved_model_that_normalises_as_for_training_is_refused(card_of):
    assert "over the whole batch" in card_of(as_for_training, "saved").reason


@pytest.mark.parametrize("middle", [as_for_training, *AT_RANDOM.values()])
def test_training_layers_of_a_keras_file_are_inactive(card_of, middle):
    assert card_of(middle, "keras").reason is None


@pytest.mark.parametrize("middle", AT_RANDOM.values(), ids=AT_RANDOM)
def test_a_score_that_varies_between_calls_is_refused(card_of, middle):
    reason = card_of(middle, "saved").reason
    assert reason.startswith("a score depends on more than its picture: scored once more")
    assert "layers that act at random" in reason.lower()


@pytest.mark.parametrize("kind", ["keras", "saved"])
@pytest.mark.parametrize("middle", RIGHT.values(), ids=RIGHT)
def test_a_function_of_one_picture_is_served(card_of, middle, kind):
    card = card_of(middle, kind)
    assert (card.status, card.reason) == (ModelStatus.AVAILABLE, None)


@pytest.mark.parametrize("backend", ["tensorflow-frozen", "openvino"])
def test_inconsistency_is_found_on_every_backend(card_of, backend):
    if backend == "openvino":
        pytest.importorskip("openvino")
    assert "whole batch" in card_of(batch_range, keys=f'backend = "{backend}"').reason
    assert card_of(RIGHT["range of each picture"], keys=f'backend = "{backend}"').reason is None


def test_inconsistency_of_only_some_pictures_is_found(serve, tmp_path):
    """The other scores are wrong only beside a picture that is almost white."""

    def score(x):
        each = tf.reduce_mean(tf.cast(x, tf.float32), (1, 2))  # (N, C)
        return each * tf.where(tf.reduce_max(each) > 250, 1.01, 1.0)

    export(tmp_path / "a", tf.TensorSpec((None, *SHAPE), tf.float32), {"scores": score})
    [card] = serve('[models.a]\nsaved_model = "a"').cards()
    assert "whole batch" in card.reason


def test_scores_that_are_all_zero_differ_by_nothing(serve, tmp_path):
    def score(x):
        return tf.reduce_mean(0 * tf.cast(x, tf.float32), (1, 2))

    export(tmp_path / "a", tf.TensorSpec((None, *SHAPE), tf.float32), {"scores": score})
    [card] = serve('[models.a]\nsaved_model = "a"').cards()
    assert (card.status, card.reason) == (ModelStatus.AVAILABLE, None)


def test_a_state_that_changes_with_every_call_is_found(serve, tmp_path):
    module = tf.Module()
    module.calls = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32)])
    def score(x):
        with tf.control_dependencies([module.calls.assign_add(0.01)]):
            return {"scores": tf.reduce_mean(x, (1, 2)) + module.calls}

    module.score = score
    tf.saved_model.save(module, str(tmp_path / "a"), signatures=score)
    [card] = serve('[models.a]\nsaved_model = "a"').cards()
    assert card.reason.startswith("a score depends on more than its picture: scored once more")


def test_dropout_of_few_features_is_found_although_it_often_has_no_effect(serve, tmp_path):
    """One picture in eight loses one of its three features: most batches of twelve lose some."""
    keras.utils.set_random_seed(1)
    pictures = keras.Input(SHAPE)
    means = layers.GlobalAveragePooling2D()(pictures)
    scores = layers.Dense(2)(layers.Dropout(0.02)(means, training=True))
    keras.Model(pictures, scores).export(tmp_path / "a", verbose=False)
    [card] = serve('[models.a]\nsaved_model = "a"').cards()
    assert card.reason.startswith("a score depends on more than its picture: scored once more")


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 3), (28, 28, 1), (224, 224, 3)])
def test_trial_pictures_are_pictures_and_always_the_same(shape):
    first, again = trial_pictures(shape), trial_pictures(shape)
    assert {"black", "white", "one colour", "noise"} < set(first)
    for name, picture in first.items():
        assert (picture.shape, picture.dtype) == (shape, np.float32)
        assert 0 <= picture.min() <= picture.max() <= 255
        np.testing.assert_array_equal(picture, again[name])
    assert len(first) == 12  # any batch size cuts it into equal batches
