"""Models run by TensorFlow: compiled unchanged, or with their variables folded into constants."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf.config_pb2 import ConfigProto
from tensorflow.python.eager import context
from tensorflow.python.eager.wrap_function import function_from_graph_def
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from worker.engine.arrays import Pictures
from worker.engine.backends.folding import fold
from worker.engine.errors import PredictorError
from worker.engine.game.coalitions import Shape
from worker.engine.predictor import check_pictures
from worker.engine.scoring.batch_size import device_batch_size, shares
from worker.engine.scoring.cpu_count import CPU_COUNT

Tensor = Any  # TensorFlow has no complete types
Model = Callable[..., Tensor]
Preprocess = Callable[[Tensor], Tensor]


class TensorFlowPredictor:
    """A TensorFlow or Keras model, compiled once with a free batch dimension.

    model: maps preprocessed pictures (N, H, W, C) to scores (N, K), or (N,) for a single output.
    preprocess: maps float32 pictures in 0..255 to the model's input, by TensorFlow operations only,
    as it is compiled with the model. input_shape: (H, W, C); needed where the model has none.
    Raises PredictorError for an unknown input shape, or scores that are not an (N, K) array.
    """

    backend = "tensorflow"

    def __init__(
        self,
        model: Model,
        preprocess: Preprocess,
        *,
        input_shape: Shape | None = None,
    ) -> None:
        prepare_devices()
        if input_shape is None:
            shape = getattr(model, "input_shape", None)
            if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:]:
                raise PredictorError(
                    f"the model's input shape is {shape}; (N, H, W, C) with fixed H, W and C is "
                    f"needed: give input_shape where the model leaves it open"
                )
            input_shape = shape[1], shape[2], shape[3]
        self.input_shape = input_shape
        self.device = "cpu"
        if tf.config.list_logical_devices("GPU"):
            first = tf.config.list_physical_devices("GPU")[0]
            details = tf.config.experimental.get_device_details(first)
            self.device = f"gpu:0 {details.get('device_name', 'unknown')}"
        self.dtype = str(getattr(model, "compute_dtype", "float32"))
        self.traces = 0  # how often the model was traced: stays as it is after construction
        self._forward = self._compile(model, preprocess)
        self.unfused = UnfusedGraph(self._written)
        self._cores = ThreadPoolExecutor(CPU_COUNT, thread_name_prefix="forward")

        # Each batch size runs once, so that the first explanation is not delayed
        for n in (1, 2, device_batch_size(input_shape, self.device)):
            scores = self._forward(tf.zeros((n, *input_shape)))
            if scores.shape[0] != n:
                raise PredictorError(
                    f"the model returned {scores.shape[0]} rows for {n} pictures; one row each is "
                    f"needed"
                )
        self.n_outputs = int(scores.shape[1])

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        check_pictures(pictures, self.input_shape)
        parts = shares(len(pictures), self.input_shape, self.device)
        if len(parts) == 1:
            return self._score(pictures)
        scores = self._cores.map(self._score, [pictures[part] for part in parts])
        return np.concatenate(list(scores))

    def _score(self, pictures: Pictures) -> NDArray[np.float32]:
        return np.array(self._forward(tf.constant(pictures)))  # a copy: scores may alias pictures

    def _compile(self, model: Model, preprocess: Preprocess) -> Any:
        def counted(pictures: Tensor) -> Tensor:
            self.traces += 1  # Python runs only while TensorFlow traces
            return preprocess(pictures)

        # Folding rewrites arithmetic; without it scores equal the eager model's bit by bit.
        tf.config.optimizer.set_experimental_options({"constant_folding": False})
        self._written = _compiled(model, counted, self.input_shape)
        return self._written


class FrozenPredictor(TensorFlowPredictor):
    """A TensorFlowPredictor with variables folded into constants, and these into convolutions.

    Scores equal those of TensorFlowPredictor but for rounding: within 1e-5 of the largest.
    """

    backend = "tensorflow-frozen"

    def _compile(self, model: Model, preprocess: Preprocess) -> Any:
        super()._compile(model, preprocess)
        frozen = convert_variables_to_constants_v2(self._written)
        [pictures], [scores] = frozen.inputs, frozen.outputs
        graph = fold(frozen.graph, scores.name)
        folded = function_from_graph_def(graph, pictures.name, scores.name)
        # Wrapped in a function again, as calling the graph directly costs some milliseconds more.
        return _compiled(folded, lambda x: x, self.input_shape)


class UnfusedGraph:
    """A model run operation by operation as written, with none fused or rewritten.

    TensorFlow's rewritten operations may hide NaN: a convolution fused with its ReLU gives 0.
    """

    def __init__(self, function: Any) -> None:
        self._function = function  # a ConcreteFunction

    @property
    def graph(self) -> Any:
        """Return the model's operations, a GraphDef."""
        return self._function.graph.as_graph_def()

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        """Score pictures (N, H, W, C), float32 in 0..255: (N, n_outputs) float32. Slow."""
        eager = context.context()
        before = eager.function_call_options  # of this thread
        plainly = ConfigProto()
        plainly.CopyFrom(eager.config)
        plainly.graph_options.rewrite_options.disable_meta_optimizer = True
        eager.function_call_options = context.FunctionCallOptions(config_proto=plainly)
        try:
            return np.array(self._function(tf.constant(pictures)))
        finally:
            eager.function_call_options = before


def unfused_graph(model: Model, preprocess: Preprocess, input_shape: Shape) -> UnfusedGraph:
    return UnfusedGraph(_compiled(model, preprocess, input_shape))


def frozen_graph(model: Model, preprocess: Preprocess, input_shape: Shape) -> bytes:
    """Return preprocessing and model as one TensorFlow graph of constants, a serialised GraphDef.

    It maps pictures (N, H, W, C) to scores (N, K), float32 both. Raises PredictorError for a model
    that does not return an (N, K) array of scores.
    """
    forward = _compiled(model, preprocess, input_shape)
    graph: bytes = (
        convert_variables_to_constants_v2(forward).graph.as_graph_def().SerializeToString()
    )
    return graph


def prepare_devices() -> None:
    """Let GPU memory grow as needed, and use one thread per core; call before loading a model.

    Both can only be set before TensorFlow first computes anything; later calls have no effect.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)  # float32 means float32
    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        # TensorFlow ignores a container's CPU limit.
        tf.config.threading.set_intra_op_parallelism_threads(CPU_COUNT)
        tf.config.threading.set_inter_op_parallelism_threads(CPU_COUNT)
    except RuntimeError:
        return  # already computing


def _compiled(model: Model, preprocess: Preprocess, input_shape: Shape) -> Any:
    """Return a ConcreteFunction: a tf.function would look for it at every call, for 0.2 ms."""
    # No XLA: on CPUs it is no faster for some models and many times slower for others.
    # No AutoGraph: rewriting Python takes most of the tracing, and Keras's layers branch on no
    # tensors.
    return tf.function(
        lambda pictures: _as_scores(model(preprocess(pictures))),
        input_signature=[tf.TensorSpec((None, *input_shape), tf.float32)],
        autograph=False,
        jit_compile=False,
    ).get_concrete_function()


def _as_scores(output: Any) -> Tensor:
    """Check the model's output while tracing, and convert it to (N, K) float32."""
    if not tf.is_tensor(output) or output.shape.rank not in (1, 2):
        found = f"shape {output.shape}" if tf.is_tensor(output) else type(output).__name__
        raise PredictorError(
            f"the model returned {found}; one array of shape (N, K) or (N,) is needed"
        )
    if not output.dtype.is_floating:
        raise PredictorError(f"the model returned {output.dtype.name} scores; floats are needed")
    scores = tf.cast(output, tf.float32)
    return scores if output.shape.rank == 2 else scores[:, tf.newaxis]  # (N,) -> (N, 1)
