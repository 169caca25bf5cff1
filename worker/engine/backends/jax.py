"""Models run by JAX, made for GPUs: compiled for two batch sizes, masks painted on the device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
from worker.engine.backends.jax_painting import Painter
from worker.engine.coalitions import Coalitions, Shape
from worker.engine.errors import PredictorError
from worker.engine.physical import buckets
from worker.engine.predictor import check_pictures

Weights = Any  # a tree of arrays
Model = Callable[[Weights, jax.Array], Any]


class JaxPredictor:
    """A pure function of weights and pictures, compiled ahead for two batch sizes, and no other.

    Calls are cut into batches of the larger size; the last one is padded to whichever size holds
    it. model: maps weights and float32 pictures (N, H, W, C) in 0..255 to scores (N, K), or (N,)
    for a single one. dtype: what it computes in, as it is recorded; in "float32" products are not
    rounded to fewer bits either, as GPUs otherwise do. Raises PredictorError for scores that are
    no (N, K) array.
    """

    backend = "jax"

    def __init__(self, model: Model, weights: Weights, input_shape: Shape, dtype: str) -> None:
        self.input_shape = input_shape
        self.dtype = dtype
        self.device = _device()
        self.traces = 0  # how often the model was traced: stays as it is after construction
        self._weights = jax.device_put(weights)
        self._executables = {
            size: self._compile(model, size) for size in buckets(input_shape, self.device)
        }
        self.n_outputs = int(self(np.zeros((1, *input_shape), np.float32)).shape[1])

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        check_pictures(pictures, self.input_shape)
        return self._in_batches(len(pictures), lambda span, size: _padded(pictures[span], size))

    def compositor(self, picture: Pictures, fill: Pictures) -> "JaxCompositor":
        """Keep a picture and its fill, (H, W, C) float32 both, on the device, to score coalitions.

        Raises PictureError for a wrong shape or type.
        """
        check_pictures(np.stack([picture, fill]), self.input_shape)
        return JaxCompositor(self, Painter(picture, fill))

    def _in_batches(self, count: int, batch: Callable[[slice, int], Any]) -> NDArray[np.float32]:
        """Score `batch(span, size)`, pictures 0..count padded to a size, span after span."""
        largest = max(self._executables)
        spans = [slice(at, min(at + largest, count)) for at in range(0, count, largest)]
        pending = []  # JAX computes in the background: the next is prepared meanwhile
        for span in spans:
            size = min(each for each in self._executables if each >= span.stop - span.start)
            pending.append(self._executables[size](self._weights, batch(span, size)))
        return np.concatenate([np.asarray(scores) for scores in pending])[:count]  # without padding

    def _compile(self, model: Model, size: int) -> Any:
        def forward(weights: Weights, pictures: jax.Array) -> jax.Array:
            self.traces += 1  # Python runs only while JAX traces
            return _as_scores(model(weights, pictures), size)

        pictures = np.zeros((size, *self.input_shape), np.float32)
        exact = "highest" if self.dtype == "float32" else "default"
        with jax.default_matmul_precision(exact):
            return jax.jit(forward).lower(self._weights, pictures).compile()


class JaxCompositor:
    """Scores coalitions of one picture over one fill; only who is visible goes to the device."""

    def __init__(self, predictor: JaxPredictor, painter: Painter) -> None:
        self._predictor = predictor
        self._painter = painter

    def __call__(self, coalitions: Coalitions) -> NDArray[np.float32]:
        """Score N coalitions: (N, n_outputs) float32."""
        return self._predictor._in_batches(
            len(coalitions), lambda span, size: self._painter(coalitions[span], size)
        )


def _padded(pictures: Pictures, size: int) -> Pictures:
    """Give (size, H, W, C): black pictures follow those given."""
    missing = size - len(pictures)
    return np.pad(pictures, [(0, missing), *[(0, 0)] * 3]) if missing else pictures


def _as_scores(output: Any, count: int) -> jax.Array:
    """Check what the model gives, while tracing, and make it (N, K) float32."""
    if not isinstance(output, jax.Array) or output.ndim not in (1, 2):
        found = f"shape {output.shape}" if isinstance(output, jax.Array) else type(output).__name__
        raise PredictorError(
            f"the model gives {found}; one array of shape (N, K) or (N,) is needed"
        )
    if len(output) != count:
        raise PredictorError(f"the model gave {len(output)} rows for {count} pictures")
    if not jnp.issubdtype(output.dtype, jnp.floating):
        raise PredictorError(f"the model gives {output.dtype} scores; floats are needed")
    return output.astype(jnp.float32).reshape(count, -1)


def _device() -> str:
    first = jax.devices()[0]
    return "cpu" if first.platform == "cpu" else f"{first.platform}:0 {first.device_kind}"
