"""The graph that the frozen backend makes, operation by operation."""

import os
from collections import Counter

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from worker.engine.backends.folding import fold  # noqa: E402
from worker.engine.backends.tensorflow import FrozenPredictor  # noqa: E402

pytestmark = pytest.mark.tensorflow
SHAPE = (12, 10, 3)
RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


KERNEL, DEPTHWISE = normal(3, 3, 3, 6), normal(3, 3, 3, 2)
SCALE, SHIFT, PLACES = normal(6), normal(1, 1, 1, 6), normal(12, 10, 6)


def convolved(x):
    return tf.nn.conv2d(x, KERNEL, 1, "SAME")


def depthwise(x):
    return tf.nn.depthwise_conv2d(x, DEPTHWISE, (1, 1, 1, 1), "VALID")


def seen_inside(x):
    inner = convolved(x) * SCALE
    return tf.concat([inner + SHIFT, inner], axis=3)


def folded(function):
    """Fold a function; return it for pictures, and the count of each operation in it."""
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, (None, *SHAPE), name="x")
        tf.identity(function(x), name="y")
    result = fold(graph, "y:0")
    run = tf.compat.v1.wrap_function(
        lambda x: tf.graph_util.import_graph_def(result, {"x": x}, ["y:0"])[0],
        [tf.TensorSpec((None, *SHAPE), tf.float32)],
    )
    needed = tf.compat.v1.graph_util.extract_sub_graph(result, ["y"])
    return run, Counter(node.op for node in needed.node)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: convolved(x) * SCALE + SHIFT,
        lambda x: SHIFT + SCALE * tf.nn.bias_add(convolved(x), SCALE),
        lambda x: depthwise(x) * SCALE + SHIFT,
        lambda x: (convolved(x) + 1.5) * 2.0 + SHIFT,
        lambda x: tf.nn.relu(convolved(x) * SCALE + SHIFT) * 3.0,
    ],
)
def test_scales_and_shifts_become_a_kernel_and_a_bias(function):
    run, operations = folded(function)
    pictures = normal(4, *SHAPE)
    np.testing.assert_allclose(run(pictures), function(pictures), rtol=1e-5, atol=1e-5)
    assert operations["BiasAdd"] == 1
    assert operations["AddV2"] == 0
    assert operations["Mul"] == operations["Relu"]  # later operations are not folded


@pytest.mark.parametrize(
    "function",
    [
        seen_inside,
        lambda x: convolved(x) * SCALE + convolved(tf.nn.relu(x)),
        lambda x: convolved(x) * SCALE + PLACES,
        lambda x: tf.nn.conv2d(x, KERNEL[..., :1], 1, "SAME") * SCALE + SHIFT,
        lambda x: x[..., :1] * SCALE + SHIFT,
        lambda x: tf.nn.conv2d(x, KERNEL * tf.reduce_mean(x), 1, "SAME") * SCALE + SHIFT,
    ],
)
def test_other_operations_are_not_folded(function):
    run, operations = folded(function)
    pictures = normal(4, *SHAPE)
    np.testing.assert_allclose(run(pictures), function(pictures), rtol=1e-5, atol=1e-5)
    assert operations["BiasAdd"] == 0


def test_a_network_keeps_its_scores():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = keras.Sequential([layers.Input(SHAPE)])
    for layer in (layers.Conv2D(6, 3), layers.DepthwiseConv2D(3), layers.SeparableConv2D(4, 3)):
        network.add(layer)
        network.add(layers.BatchNormalization())
    network.add(layers.GlobalAveragePooling2D())
    for weight in network.weights:
        weight.assign(RANDOM.uniform(0.5, 1.5, weight.shape))
    pictures = RANDOM.uniform(0, 1, (5, *SHAPE)).astype(np.float32)
    scores = FrozenPredictor(network, lambda x: x)(pictures)
    np.testing.assert_allclose(scores, np.array(network(pictures)), rtol=1e-5)
