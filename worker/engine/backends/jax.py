"""Models run by JAX, made for GPUs: compiled for two batch sizes, masks painted on the device."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
from worker.engine.backends.jax_painting import Painter, Portion
from worker.engine.errors import PredictorError
from worker.engine.game.coalitions import Shape
from worker.engine.predictor import check_pictures
from worker.engine.scoring.batch_size import buckets

Weights = Any  # a tree of arrays
Model = Callable[[Weights, jax.Array], Any]
Pending = tuple[int, jax.Array]  # how many of the first rows count, and scores under way


class JaxPredictor:
    """A pure function of weights and pictures, compiled ahead of time for exactly two batch sizes.

    Calls are cut into batches of the larger size; the last one is padded to whichever size holds
    it. model: maps weights and float32 pictures (N, H, W, C) in 0..255 to scores (N, K), or (N,)
    for a single output. dtype: the compute dtype to record; in "float32", products keep full
    precision, which GPUs otherwise reduce. Raises PredictorError for scores that are not an (N, K)
    array.
    """

    backend = "jax"

    def __init__(self, model: Model, weights: Weights, input_shape: Shape, dtype: str) -> None:
        self.input_shape = input_shape
        self.dtype = dtype
        first = jax.devices()[0]
        is_cpu = first.platform == "cpu"
        self.device = "cpu" if is_cpu else f"{first.platform}:0 {first.device_kind}"
        self.traces = 0  # how often the model was traced: stays as it is after construction
        self._weights = jax.device_put(weights)
        self._painter = Painter()
        self._executables = {
            size: self._compile(model, size) for size in buckets(input_shape, self.device)
        }
        self._largest = max(self._executables)
        self.n_outputs = int(self(np.zeros((1, *input_shape), np.float32)).shape[1])

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        check_pictures(pictures, self.input_shape)
        starts = range(0, len(pictures), self._largest)
        batches = [pictures[start : start + self._largest] for start in starts]
        return _wait([self._start(len(each), partial(_padded, each)) for each in batches])

    def composite(self, portions: Sequence[Portion]) -> Callable[[], NDArray[np.float32]]:
        """Start scoring coalitions; only their members are copied to the device. See Compositor."""
        for filling, _ in portions:
            check_pictures(filling.picture[np.newaxis], self.input_shape)
        batches = in_batches(portions, self._largest)
        pending = [self._start(n, partial(self._painter, batch)) for n, batch in batches]
        return partial(_wait, pending)

    def _start(self, count: int, paint: Callable[[int], Any]) -> Pending:
        """Start painting and scoring pictures, padded to a compiled batch size."""
        size = min(size for size in self._executables if size >= count)
        return count, self._executables[size](self._weights, paint(size))

    def _compile(self, model: Model, size: int) -> Any:
        def forward(weights: Weights, pictures: jax.Array) -> jax.Array:
            self.traces += 1  # Python runs only while JAX traces
            return _as_scores(model(weights, pictures), size)

        pictures = np.zeros((size, *self.input_shape), np.float32)
        exact = "highest" if self.dtype == "float32" else "default"
        with jax.default_matmul_precision(exact):
            return jax.jit(forward).lower(self._weights, pictures).compile()


def in_batches(
    portions: Sequence[Portion], largest: int
) -> Iterator[tuple[int, Sequence[Portion]]]:
    """Cut portions into batches of at most `largest` coalitions; yield each with its count."""
    batch: list[Portion] = []
    room = largest
    for filling, coalitions in portions:
        for start in range(0, len(coalitions), largest):
            part = coalitions[start : start + largest]
            if len(part) > room:
                yield largest - room, batch
                batch, room = [], largest
            batch.append((filling, part))
            room -= len(part)
    if batch:
        yield largest - room, batch


def _wait(pending: Sequence[Pending]) -> NDArray[np.float32]:
    """Return the scores (N, K) of batches in order, without those of padding."""
    return np.concatenate([np.asarray(scores)[:count] for count, scores in pending])


def _padded(pictures: Pictures, size: int) -> Pictures:
    """Pad pictures with black ones: (size, H, W, C)."""
    missing = size - len(pictures)
    return np.pad(pictures, [(0, missing), *[(0, 0)] * 3]) if missing else pictures


def _as_scores(output: Any, count: int) -> jax.Array:
    """Check the model's output while tracing, and convert it to (N, K) float32."""
    if not isinstance(output, jax.Array) or output.ndim not in (1, 2):
        found = f"shape {output.shape}" if isinstance(output, jax.Array) else type(output).__name__
        raise PredictorError(
            f"the model returned {found}; one array of shape (N, K) or (N,) is needed"
        )
    if len(output) != count:
        raise PredictorError(
            f"the model returned {len(output)} rows for {count} pictures; one row each is needed"
        )
    if not jnp.issubdtype(output.dtype, jnp.floating):
        raise PredictorError(f"the model returned {output.dtype} scores; floats are needed")
    return output.astype(jnp.float32).reshape(count, -1)
