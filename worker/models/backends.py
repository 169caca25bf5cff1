"""What runs a network: the backend and the precision that the file of models asks for.

The libraries are imported where they are used: they take seconds, and two come with extras only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
from worker.engine.predictor import Predictor
from worker.engine.scoring.precision import Deviation, deviation
from worker.models.errors import ModelUnavailableError
from worker.models.models_file import Backend, ModelEntry, Precision
from worker.models.networks import Network, Tensor
from worker.models.packaged import PACKAGES, is_package_installed
from worker.models.tensorflow_graphs import draws_at_random, least_precise

EXTRAS = ("openvino", "jax")  # each named as the library it brings
Preprocess = Callable[[Tensor], Tensor]
Runner = Callable[[Precision], Predictor]


def is_installed(backend: Backend) -> bool:
    return backend not in EXTRAS or find_spec(backend) is not None


def missing_dependency(entry: ModelEntry) -> str | None:
    """Which extra is to be installed before the model can be served, and for what; None: none."""
    if entry.package is not None and not is_package_installed(entry.package):
        return f"package {entry.package} needs {extra(PACKAGES[entry.package].extra)}"
    if not is_installed(entry.backend):
        return f"backend {entry.backend} needs {extra(entry.backend)}"
    return None


def prepare(entry: ModelEntry) -> None:
    """To be called before a network is opened.

    Raises ModelUnavailableError where it cannot be run.
    """
    if missing := missing_dependency(entry):
        raise ModelUnavailableError(missing)
    if entry.saved_model is None:
        _check_keras(entry)
    if entry.backend != "jax":
        from worker.engine.backends.tensorflow import prepare_devices

        prepare_devices()


def open_predictor(
    entry: ModelEntry, network: Network, preprocess: Preprocess
) -> tuple[Predictor, Deviation | None]:
    """The predictor and, where it computes in less than float32, its error against float32.

    Raises ModelUnavailableError where its scores are too large for that. entry: one that names its
    backend; for others see choice.py.
    """
    runner = RUNNERS[entry.backend](network, preprocess)
    if entry.precision in (None, "float32"):
        return runner("float32"), None
    draft = runner(entry.precision)
    error = deviation(draft, runner("float32"))
    if not isfinite(error.largest):
        raise ModelUnavailableError(f"in {entry.precision} some of its scores are NaN or infinite")
    return draft, error


@dataclass(frozen=True)
class Plain:
    """The model computed operation by operation, none fused with another, to compare with.

    score: as a predictor, slowly. at_random: whether random numbers are drawn in its graph, if only
    in training; as far as is known.
    """

    score: Callable[[Pictures], NDArray[np.float32]]
    at_random: bool


def plain_model(
    entry: ModelEntry, network: Network, preprocess: Preprocess, predictor: Predictor
) -> Plain:
    """The same model as the predictor's, as its operations were written."""
    if entry.backend == "jax":
        return Plain(lambda pictures: np.asarray(network(preprocess(pictures))), at_random=False)
    from worker.engine.backends import tensorflow

    if isinstance(predictor, tensorflow.TensorFlowPredictor):
        written = predictor.plain
    else:
        written = tensorflow.plain_model(network, preprocess, network.input_shape)
    return Plain(written, draws_at_random(written.graph))


def extra(name: str) -> str:
    return f"the extra {name}: pip install 'shapshot[{name}]'"


def _check_keras(entry: ModelEntry) -> None:
    """Keras takes its backend when it is imported and keeps it for the life of the process."""
    import keras

    found = keras.backend.backend()
    if found != entry.keras_backend:
        raise ModelUnavailableError(
            f"backend {entry.backend} needs Keras on {entry.keras_backend}, and in this worker "
            f"Keras is on {found}, as its default model needs: list models of backend jax in a "
            f"file of their own, for workers of their own"
        )


def _tensorflow(network: Network, preprocess: Preprocess) -> Runner:
    from worker.engine.backends.tensorflow import TensorFlowPredictor

    return lambda _: TensorFlowPredictor(network, preprocess, input_shape=network.input_shape)


def _frozen(network: Network, preprocess: Preprocess) -> Runner:
    from worker.engine.backends.tensorflow import FrozenPredictor

    return lambda _: FrozenPredictor(network, preprocess, input_shape=network.input_shape)


def _openvino(network: Network, preprocess: Preprocess) -> Runner:
    from worker.engine.backends.openvino import OpenVINOPredictor, read_graph
    from worker.engine.backends.tensorflow import frozen_graph

    graph = read_graph(frozen_graph(network, preprocess, network.input_shape))

    def run(precision: Precision) -> OpenVINOPredictor:
        predictor = OpenVINOPredictor(graph, precision)
        # A graph that rounds to float16 does so in whatever it is run
        predictor.dtype = least_precise([precision, network.compute_dtype])
        return predictor

    return run


def _jax(network: Network, preprocess: Preprocess) -> Runner:
    from worker.engine.backends.jax import JaxPredictor

    model: Any = network.owner
    variables = (model.trainable_variables, model.non_trainable_variables)
    weights = [[variable.value for variable in each] for each in variables]

    def forward(weights: Any, pictures: Tensor) -> Tensor:
        scores, _ = model.stateless_call(*weights, preprocess(pictures), training=False)
        return scores

    def run(precision: Precision) -> JaxPredictor:
        _compute_in(model, precision)  # read while JaxPredictor compiles, and then no more
        return JaxPredictor(forward, weights, network.input_shape, precision)

    return run


def _compute_in(model: Any, precision: Precision) -> None:
    """Set what a Keras model computes in; the last layer keeps to float32, as Keras advises."""
    policy = "float32" if precision == "float32" else f"mixed_{precision}"
    for layer in model._flatten_layers(include_self=False):  # Keras has no public walk
        layer.dtype_policy = policy
    model.layers[-1].dtype_policy = "float32"


RUNNERS: dict[Backend, Callable[[Network, Preprocess], Runner]] = {
    "tensorflow": _tensorflow,
    "tensorflow-frozen": _frozen,
    "openvino": _openvino,
    "jax": _jax,
}
