"""Changes that change the fingerprint of a model, and those that do not: files by real Keras."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.worker.models.tiny_models import export
from worker.models.registry import read_registry

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def network(**differing):
    """Make every kind of layer and connection that the tests change; the weights never differ."""
    chosen = {
        "activation": "relu",
        "padding": "same",
        "strides": 2,
        "pool": layers.GlobalAveragePooling2D,
        "scale": 1 / 255,
        "head": "softmax",
        "epsilon": 1e-3,
        "merge": layers.Add,
        "merged": "lrl",
        "dtype": "float32",
        "times": None,
        "names": "",
        **differing,
    }
    name = (lambda text: f"{chosen['names']}{text}") if chosen["names"] else lambda _: None
    keras.utils.set_random_seed(0)
    pictures = keras.Input((8, 8, 3), name=name("photo"))
    scaled = layers.Rescaling(chosen["scale"])(pictures)
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(
                4,
                3,
                padding=chosen["padding"],
                strides=chosen["strides"],
                activation=chosen["activation"],
                dtype=chosen["dtype"],
                name=name("conv"),
            ),
            layers.BatchNormalization(epsilon=chosen["epsilon"], name=name("norm")),
        ],
        name=name("inner"),
    )
    features = inner(scaled)
    sides = {side: layers.Dense(4, name=name(side))(features) for side in "lr"}
    merged = chosen["merge"](name=name("merge"))([sides[side] for side in chosen["merged"]])
    pooled = chosen["pool"](name=name("pool"))(merged)
    if chosen["times"]:
        pooled = pooled * chosen["times"]
    scores = layers.Dense(3, activation=chosen["head"], name=name("scores"))(pooled)
    return keras.Model(pictures, scores, name=name("model"))


@pytest.fixture
def parts_of(serve):
    """Return the parts of a file's only model, and its fingerprint."""

    def load(keys):
        [card] = serve(f"[models.a]\n{keys}\n").cards()
        assert card.reason is None
        return card.parts, card.fingerprint

    return load


@pytest.fixture
def parts_of_network(parts_of, tmp_path):
    def load(file="a.keras", **differing):
        network(**differing).save(tmp_path / file)
        return parts_of(f'file = "{file}"')

    return load


@pytest.mark.parametrize(
    "differing",
    [
        {"activation": "elu"},
        {"padding": "valid"},
        {"strides": 1},
        {"pool": layers.GlobalMaxPooling2D},
        {"scale": 1 / 127.5},
        {"head": None},
        {"epsilon": 1e-5},
        {"merge": layers.Multiply},
        {"merged": "llr"},
        {"dtype": "mixed_bfloat16"},
        {"times": 2.0},
    ],
    ids=str,
)
def test_the_same_weights_in_another_network_are_another_model(parts_of_network, differing):
    plain, fingerprint = parts_of_network()
    other, changed = parts_of_network(**differing)
    assert other.weights == plain.weights
    assert other.architecture != plain.architecture
    assert changed != fingerprint


def test_names_and_file_format_make_no_other_model(parts_of_network):
    plain = parts_of_network()
    for _ in range(2):  # advances Keras's numbering of layers
        assert parts_of_network() == plain
    assert parts_of_network(names="my_") == plain
    assert parts_of_network("b.h5") == plain
    assert parts_of_network("c.h5", names="my_") == plain


def test_differently_connected_layers_are_another_model(parts_of_network):
    """The layers and weights are the same; only their connections differ."""
    architectures = {
        parts_of_network(merged=merged)[0].architecture for merged in ("lrl", "llr", "lrr", "lr")
    }
    assert len(architectures) == 4


def test_another_order_type_or_shape_of_weights_is_another_model(parts_of, tmp_path):
    def digest(*weights, dtype="float32"):
        model = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten()])
        for shape in weights:
            model.add(layers.Dense(shape, dtype=dtype, kernel_initializer="ones"))
        model.save(tmp_path / "a.keras")
        return parts_of('file = "a.keras"')[0].weights

    digests = [digest(2, 3), digest(3, 2), digest(6), digest(2, 3, dtype="float64")]
    assert len(set(digests)) == 4


# --- SavedModels --------------------------------------------------------------------------------


class Scaled(tf.Module):
    """A convolution, then a given scaling."""

    def __init__(self, after, *, swapped=False):
        super().__init__()
        kernels = [tf.fill((3, 3, 3, 4), 0.1), tf.fill((3, 3, 3, 4), 0.2)]
        self.kernels = [tf.Variable(each) for each in kernels]
        self._after, self._swapped = after, swapped

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
    def score(self, pictures):
        first, second = reversed(self.kernels) if self._swapped else self.kernels
        features = tf.nn.conv2d(pictures / 255, first, 1, "SAME")
        other = tf.nn.conv2d(pictures / 255, second, 1, "SAME")
        return {"scores": self._called(features - 0.5 * other)}

    @tf.function
    def _called(self, features):
        return self._after(features)


def mean(features):
    return tf.reduce_mean(features, (1, 2))


def largest(features):
    return tf.reduce_max(features, (1, 2))


def cond(limit):
    def called(features):
        far = tf.reduce_mean(features, (1, 2))
        return tf.map_fn(lambda row: tf.cond(row[0] > limit, lambda: row, lambda: 2 * row), far)

    return called


@pytest.fixture
def parts_of_graph(parts_of, tmp_path):
    made = iter(range(100))

    def load(after, **options):
        module, folder = Scaled(after, **options), f"saved{next(made)}"
        tf.saved_model.save(module, str(tmp_path / folder), signatures=module.score)
        return parts_of(f'saved_model = "{folder}"')

    return load


def test_another_graph_of_the_same_variables_is_another_model(parts_of_graph):
    graphs = [
        parts_of_graph(mean),
        parts_of_graph(largest),
        parts_of_graph(lambda x: mean(x) * 2),
        parts_of_graph(lambda x: mean(tf.nn.relu(x))),
        parts_of_graph(cond(0.1)),
        parts_of_graph(cond(0.2)),
        parts_of_graph(mean, swapped=True),
    ]
    assert len({parts.weights for parts, _ in graphs[:-1]}) == 1
    assert len({fingerprint for _, fingerprint in graphs}) == len(graphs)


@pytest.mark.parametrize("after", [mean, cond(0.1)], ids=["plain", "branches"])
def test_tensorflows_numbering_makes_no_other_model(parts_of_graph, after):
    first = parts_of_graph(after)
    for _ in range(3):
        tf.function(lambda x: x + 1)(tf.constant(1.0))  # advances TensorFlow's numbering
        assert parts_of_graph(after) == first


def test_an_exported_network_is_another_model_when_a_layer_is(parts_of, tmp_path):
    def exported(name, **differing):
        network(**differing).export(tmp_path / name, verbose=False)
        return parts_of(f'saved_model = "{name}"')

    plain = exported("a")
    assert exported("b") == exported("c", names="my_") == plain
    for name, differing in {
        "d": {"pool": layers.GlobalMaxPooling2D},
        "e": {"scale": 1 / 127.5},
        "f": {"head": None},
        "g": {"epsilon": 1e-5},
    }.items():
        other = exported(name, **differing)
        assert other[0].weights == plain[0].weights
        assert other[0].architecture != plain[0].architecture


def test_a_frozen_graph_is_identified_by_its_constants(parts_of, tmp_path):
    def frozen(name, value):
        spec = tf.TensorSpec((None, 8, 8, 3), tf.float32)
        weights = tf.constant(value, shape=(3, 2))
        export(tmp_path / name, spec, {"scores": lambda x: mean(x) @ weights})
        return parts_of(f'saved_model = "{name}"')

    first = frozen("a", 0.5)
    assert frozen("b", 0.5) == first
    assert frozen("c", 0.25)[0].architecture != first[0].architecture


class Looked(tf.Module):
    """Scores that depend on a table, which is not a variable of the signature."""

    def __init__(self, factors):
        super().__init__()
        keys = tf.constant([0, 1, 2], tf.int64)
        entries = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(factors))
        self.table = tf.lookup.StaticHashTable(entries, -1.0)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
    def score(self, pictures):
        return {"scores": mean(pictures) * self.table.lookup(tf.constant([0, 1, 2], tf.int64))}


def save_looping(folder, times):
    """Save a graph of TensorFlow 1 whose loop multiplies this many times."""
    v1 = tf.compat.v1
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            pictures = v1.placeholder(tf.float32, (None, 8, 8, 3))
            _, scores = v1.while_loop(
                lambda i, _: i < times, lambda i, x: (i + 1, x * 2), [0, mean(pictures)]
            )
            v1.saved_model.simple_save(session, str(folder), {"x": pictures}, {"scores": scores})
    finally:
        v1.enable_control_flow_v2()


def test_graphs_with_loops_or_tables_are_identified_by_the_folder(parts_of, tmp_path):
    def of_table(name, factors):
        module = Looked(factors)
        tf.saved_model.save(module, str(tmp_path / name), signatures=module.score)
        return parts_of(f'saved_model = "{name}"')[1]

    def of_loop(name, times):
        save_looping(tmp_path / name, times)
        return parts_of(f'saved_model = "{name}"')[1]

    fingerprints = [
        of_table("a", [1.0, 2.0, 3.0]),
        of_table("b", [1.0, 2.0, 4.0]),
        of_loop("c", 2),
        of_loop("d", 3),
    ]
    assert len(set(fingerprints)) == 4
    again = [parts_of(f'saved_model = "{name}"')[1] for name in "abcd"]
    assert again == fingerprints


# --- Two processes ------------------------------------------------------------------------------

PRINT_FINGERPRINTS = """
import json, sys
from pathlib import Path
import keras
keras.layers.Dense(1), keras.layers.Conv2D(1, 1)  # numbers later ones on
from worker.models.registry import read_registry
registry = read_registry(Path(sys.argv[1]), weights_cache=None)
found = {name: registry.get(name).card.fingerprint for name in registry.names}
print(json.dumps(found))  # below what is logged
"""


def test_two_processes_give_a_file_the_same_fingerprint(tmp_path):
    network().save(tmp_path / "a.keras")
    network().save(tmp_path / "a.h5")
    network().export(tmp_path / "saved", verbose=False)
    text = (
        '[models.k]\nfile = "a.keras"\n[models.h]\nfile = "a.h5"\n'
        '[models.s]\nsaved_model = "saved"\n'
        '[models.f]\nfile = "a.keras"\nbackend = "tensorflow-frozen"\n'
        '[models.n]\napplication = "MobileNet"\nweights = "none"\ninput_shape = [32, 32, 3]\n'
        f"labels = {[str(k) for k in range(1000)]}\n"
    )
    (tmp_path / "models.toml").write_text(text)
    command = [sys.executable, "-c", PRINT_FINGERPRINTS, str(tmp_path / "models.toml")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    there = json.loads(told.splitlines()[-1])
    registry = read_registry(tmp_path / "models.toml", weights_cache=None)
    here = {name: registry.get(name).card.fingerprint for name in registry.names}
    assert there == here
    assert len(set(here.values())) == 4  # of five, as .keras and .h5 are one model


def test_scores_of_one_fingerprint_are_the_same(serve, tmp_path):
    """Files with one fingerprint in the tests above have equal scores."""
    pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.float32)
    network().save(tmp_path / "a.keras")
    network(names="my_").save(tmp_path / "b.h5")
    registry = serve('[models.a]\nfile = "a.keras"\n[models.b]\nfile = "b.h5"')
    a, b = (registry.get(name) for name in "ab")
    assert a.card.fingerprint == b.card.fingerprint
    np.testing.assert_array_equal(a.predictor(pictures), b.predictor(pictures))
