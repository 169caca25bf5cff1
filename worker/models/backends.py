"""Opens a predictor for a network with the backend and precision that the models file names.

Libraries are imported where they are used: each takes seconds, and two come with extras only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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

EXTRAS = ("openvino", "jax")  # each named after the library it installs
Preprocess = Callable[[Tensor], Tensor]
Runner = Callable[[Precision], Predictor]


def is_installed(backend: Backend) -> bool:
    return backend not in EXTRAS or find_spec(backend) is not None


def missing_dependency(entry: ModelEntry) -> str | None:
    """Return which extra the model needs and why; None where nothing is missing."""
    if entry.package is not None and not is_package_installed(entry.package):
        return f"package {entry.package} needs {extra(PACKAGES[entry.package].extra)}"
    if not is_installed(entry.backend):
        return f"backend {entry.backend} needs {extra(entry.backend)}"
    return None


def prepare(entry: ModelEntry) -> None:
    """Prepare the process for a model's backend; call it before opening the network.

    Raises ModelUnavailableError where this process cannot run the model.
    """
    if missing := missing_dependency(entry):
        raise ModelUnavailableError(missing)
    if entry.saved_model is None:
        import keras

        found = keras.backend.backend()  # fixed when Keras is imported
        if found != entry.keras_backend:
            raise ModelUnavailableError(
                f"backend {entry.backend} needs Keras on {entry.keras_backend}; this worker runs "
                f"Keras on {found}, which its default model needs: list models with backend jax in "
                f"a separate models file, for separate workers"
            )
    if entry.backend != "jax":
        from worker.engine.backends.tensorflow import prepare_devices

        prepare_devices()


def open_predictor(
    entry: ModelEntry, network: Network, preprocess: Preprocess
) -> tuple[Predictor, Deviation | None]:
    """Open the predictor; return it and, below float32, the deviation of its scores from float32.

    entry: must name its backend; choice.py handles the others. Raises ModelUnavailableError where
    the scores exceed the range of the reduced precision.
    """
    runner = RUNNERS[entry.backend](network, preprocess)
    if entry.precision in (None, "float32"):
        return runner("float32"), None
    draft = runner(entry.precision)
    error = deviation(draft, runner("float32"))
    if not isfinite(error.largest):
        raise ModelUnavailableError(f"some of its scores are NaN or infinite in {entry.precision}")
    return draft, error


@dataclass(frozen=True)
class UnfusedModel:
    """The model run operation by operation, without fusion, as a reference.

    score: maps pictures (N, H, W, C) to scores (N, n_outputs), slowly. at_random: whether the
    graph is known to draw random numbers, in training or inference.
    """

    score: Callable[[Pictures], NDArray[np.float32]]
    at_random: bool


def unfused_model(
    entry: ModelEntry, network: Network, preprocess: Preprocess, predictor: Predictor
) -> UnfusedModel:
    """Return the predictor's model with its operations unfused."""
    if entry.backend == "jax":
        return UnfusedModel(
            lambda pictures: np.asarray(network(preprocess(pictures))), at_random=False
        )
    from worker.engine.backends import tensorflow

    if isinstance(predictor, tensorflow.TensorFlowPredictor):
        unfused = predictor.unfused
    else:
        unfused = tensorflow.unfused_graph(network, preprocess, network.input_shape)
    return UnfusedModel(unfused, draws_at_random(unfused.graph))


def extra(name: str) -> str:
    return f"the extra {name}: pip install 'shapshot[{name}]'"


def _tensorflow(network: Network, preprocess: Preprocess, *, frozen: bool = False) -> Runner:
    from worker.engine.backends.tensorflow import FrozenPredictor, TensorFlowPredictor

    predictor = FrozenPredictor if frozen else TensorFlowPredictor
    return lambda _: predictor(network, preprocess, input_shape=network.input_shape)


def _openvino(network: Network, preprocess: Preprocess) -> Runner:
    from worker.engine.backends.openvino import OpenVINOPredictor, read_graph
    from worker.engine.backends.tensorflow import frozen_graph

    graph = read_graph(frozen_graph(network, preprocess, network.input_shape))

    def run(precision: Precision) -> OpenVINOPredictor:
        predictor = OpenVINOPredictor(graph, precision)
        # A graph that rounds to float16 does so at any precision of OpenVINO
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
        # Dtype policies are read only while JaxPredictor compiles
        policy = "float32" if precision == "float32" else f"mixed_{precision}"
        for layer in model._flatten_layers(include_self=False):  # Keras has no public iterator
            layer.dtype_policy = policy
        model.layers[-1].dtype_policy = "float32"  # as Keras advises
        return JaxPredictor(forward, weights, network.input_shape, precision)

    return run


RUNNERS: dict[Backend, Callable[[Network, Preprocess], Runner]] = {
    "tensorflow": _tensorflow,
    "tensorflow-frozen": partial(_tensorflow, frozen=True),
    "openvino": _openvino,
    "jax": _jax,
}
