"""Every operation read from Keras 2 is the one of that name in TensorFlow."""

from functools import reduce

import numpy as np
import pytest
import tensorflow as tf

from worker.models.keras2.operations import OPERATIONS

RNG = np.random.default_rng(0)
A = RNG.uniform(0.2, 1.5, (2, 4, 4, 3)).astype(np.float32)
B = RNG.uniform(0.2, 1.5, (2, 4, 4, 3)).astype(np.float32)
BINARY = {
    *("add", "subtract", "multiply", "truediv", "divide", "floordiv", "maximum", "minimum", "pow"),
    "squared_difference",
}
# The calls of each operation; others take one tensor, or two if they are binary
CALLS = {
    "__operators__.getitem": [],  # see test_keras2: TensorFlow takes its slices differently
    "nn.softmax": [{}, {"axis": 1}],
    "nn.log_softmax": [{}, {"axis": 1}],
    "nn.leaky_relu": [{}, {"alpha": 0.3}],
    "nn.gelu": [{}, {"approximate": True}],
    "nn.silu": [{}, {"beta": 0.5}],
    "nn.bias_add": [{"bias": [1.0, 2.0, 3.0]}],
    "linalg.matmul": [{"b": B, "transpose_b": True}, {"b": B, "transpose_a": True}],
    "transpose": [{}, {"perm": [0, 2, 1, 3]}],
    "reshape": [{"shape": [-1, 12]}],
    "expand_dims": [{"axis": 1}],
    "squeeze": [],
    "tile": [{"multiples": [1, 2, 1, 1]}],
    "split": [{"num_or_size_splits": 2, "axis": 1}, {"num_or_size_splits": [1, 2, 1], "axis": 2}],
    "pad": [
        {"paddings": [[0, 0], [1, 2], [0, 1], [0, 0]], "constant_values": 0.5},
        {"paddings": [[0, 0], [1, 2], [0, 1], [0, 0]], "mode": "REFLECT"},
        {"paddings": [[0, 0], [1, 2], [0, 1], [0, 0]], "mode": "SYMMETRIC"},
    ],
    "clip_by_value": [{"clip_value_min": 0.5, "clip_value_max": 1.0}],
    "cast": [{"dtype": "int32"}, {"dtype": "float32"}],
    "image.resize": [
        {"size": [7, 3], "method": method} for method in ("bilinear", "nearest", "bicubic", "area")
    ]
    + [{"size": [2, 3], "antialias": True}],
    "math.l2_normalize": [{"axis": [1, 2]}, {"axis": 3}],
}


def calls_of(name):
    last = name.rpartition(".")[2]
    if name in CALLS:
        return CALLS[name]
    if last in BINARY:
        return [{"y": B}, {"y": 0.7}]
    if last.startswith("reduce"):
        return [{}, {"axis": [1, 2]}, {"axis": -1, "keepdims": True}]
    return [{}]


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_equals_tensorflows(name):
    first = [A, B] if name in ("concat", "stack", "math.add_n") else A
    first = A[..., :1] if name == "image.grayscale_to_rgb" else first
    calls = [{"axis": -1}] if name in ("concat", "stack") else calls_of(name)
    for keywords in calls:
        tensors = {k: tf.constant(v) if k in ("y", "b") else v for k, v in keywords.items()}
        ours = OPERATIONS[name](tf.nest.map_structure(tf.constant, first), **tensors)
        expected = theirs(name)(tf.nest.map_structure(tf.constant, first), **tensors)
        for each, oracle in zip(tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True):
            assert each.dtype == oracle.dtype
            np.testing.assert_allclose(each, oracle, rtol=1e-5, atol=1e-6)


def theirs(name):
    return tf.add if name == "__operators__.add" else reduce(getattr, name.split("."), tf)


def test_some_axes_can_be_squeezed():
    ours = OPERATIONS["squeeze"](tf.constant(A[:, :1]), axis=[1])
    np.testing.assert_array_equal(ours, tf.squeeze(A[:, :1], axis=[1]))
