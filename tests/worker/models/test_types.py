"""The number type of a model is reported, and pixel values are converted by one rule."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.extras import import_or_skip
from tests.worker.models.tiny_models import export

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def network(policy, head="float32"):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), dtype="float64" if policy == "float64" else "float32"),
            layers.Conv2D(4, 3, activation="relu", dtype=policy),
            layers.GlobalAveragePooling2D(dtype=policy),
            layers.Dense(3, activation="softmax", dtype=head),
        ]
    )


@pytest.mark.parametrize("kind", ["keras", "h5", "saved"])
@pytest.mark.parametrize(
    ("policy", "head", "dtype"),
    [
        ("float32", "float32", "float32"),
        ("mixed_float16", "float32", "float16"),
        ("mixed_bfloat16", "mixed_bfloat16", "bfloat16"),
        ("float16", "float16", "float16"),
        ("float64", "float64", "float64"),
    ],
)
def test_the_type_is_that_of_the_least_precise_operation(
    serve, tmp_path, policy, head, dtype, kind
):
    model = network(policy, head)
    if kind == "saved":
        model.export(tmp_path / "a", verbose=False)
    else:
        model.save(tmp_path / f"a.{kind}")
    where = 'saved_model = "a"' if kind == "saved" else f'file = "a.{kind}"'
    [card] = serve(f"[models.a]\n{where}").cards()
    assert (card.reason, card.dtype, card.parts.dtype) == (None, dtype, dtype)


@pytest.mark.parametrize(
    ("policy", "dtype"), [("float32", "float32"), ("mixed_float16", "float16")]
)
def test_openvino_reports_a_graph_that_rounds_to_less(serve, tmp_path, policy, dtype):
    import_or_skip("openvino")
    network(policy).save(tmp_path / "a.keras")
    [card] = serve('[models.a]\nfile = "a.keras"\nbackend = "openvino"').cards()
    assert (card.reason, card.dtype, card.parts.dtype) == (None, dtype, dtype)


def test_a_saved_model_of_half_weights_that_computes_in_float32_is_float32(serve, tmp_path):
    weights = tf.Variable(tf.ones((3, 2), tf.float16))

    class Half(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
        def score(self, x):
            return {"scores": tf.reduce_mean(x, (1, 2)) @ tf.cast(self.weights, tf.float32)}

    module = Half()
    module.weights = weights
    tf.saved_model.save(module, str(tmp_path / "a"), signatures=module.score)
    [card] = serve('[models.a]\nsaved_model = "a"').cards()
    assert (card.reason, card.dtype) == (None, "float32")


FRACTIONS = [0.4, 0.5, 0.6, 1.5, 2.5, 41.7, 254.5, 254.6]
NEAREST = [0, 0, 1, 2, 2, 42, 254, 255]


@pytest.mark.parametrize("kind", ["keras", "h5", "saved"])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_integer_inputs_are_rounded_in_every_file_format(serve, tmp_path, dtype, kind):
    """Maskers make fractions: means, blurs and constants."""
    if kind == "saved":

        def means(x):
            return tf.reduce_mean(tf.cast(x, tf.float32), axis=(1, 2))

        export(tmp_path / "a", tf.TensorSpec((None, 2, 2, 1), dtype), {"scores": means})
        where = 'saved_model = "a"'
    else:
        pictures = keras.Input((2, 2, 1), dtype=dtype)
        scores = layers.GlobalAveragePooling2D()(layers.Rescaling(1.0)(pictures))
        keras.Model(pictures, scores).save(tmp_path / f"a.{kind}")
        where = f'file = "a.{kind}"'
    model = serve(f"[models.a]\n{where}").get("a")
    given = np.float32(FRACTIONS)[:, np.newaxis, np.newaxis, np.newaxis] * np.ones((1, 2, 2, 1))
    scores = model.predictor(given.astype(np.float32))
    np.testing.assert_array_equal(scores[:, 0], NEAREST)


@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_pixel_values_are_clipped_to_the_range_of_the_type(serve, tmp_path, kind):
    if kind == "saved":

        def means(x):
            return tf.reduce_mean(tf.cast(x, tf.float32), axis=(1, 2))

        export(tmp_path / "a", tf.TensorSpec((None, 2, 2, 1), tf.int8), {"scores": means})
        where = 'saved_model = "a"'
    else:
        pictures = keras.Input((2, 2, 1), dtype="int8")
        scores = layers.GlobalAveragePooling2D()(layers.Rescaling(1.0)(pictures))
        keras.Model(pictures, scores).save(tmp_path / "a.keras")
        where = 'file = "a.keras"'
    entry = f"[models.a]\n{where}\npreprocessing = {{ subtract = 127.5, divide = 0.5 }}"
    predictor = serve(entry).get("a").predictor
    ends = np.stack([np.zeros((2, 2, 1)), np.full((2, 2, 1), 255)]).astype(np.float32)
    np.testing.assert_array_equal(predictor(ends)[:, 0], [-128, 127])
