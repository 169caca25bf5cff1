"""Models run by OpenVINO: on CPUs 1.4 times (ResNet50) to 2.7 times (MobileNetV2) as fast."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import numpy as np
from numpy.typing import NDArray

# OpenVINO tells Google Analytics of every import, unless this package cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino  # noqa: E402

from worker.engine.arrays import Pictures  # noqa: E402
from worker.engine.cores import CORES  # noqa: E402
from worker.engine.errors import PredictorError  # noqa: E402
from worker.engine.physical import MOST_SHARES, physical_batch  # noqa: E402
from worker.engine.predictor import check_pictures  # noqa: E402

HINTS = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


def read_graph(graph: bytes) -> openvino.Model:
    """Read a serialised GraphDef of TensorFlow that has no variables, as frozen_graph gives it."""
    with TemporaryDirectory() as folder:  # OpenVINO reads TensorFlow's graphs from files only
        path = Path(folder, "graph.pb")
        path.write_bytes(graph)
        return openvino.Core().read_model(path)


class OpenVINOPredictor:
    """A graph of pictures (N, H, W, C) to scores (N, K), with a free batch dimension.

    precision: what it is to compute in. Float32 scores are TensorFlow's but for rounding: within
    1e-5 of the largest. Raises PredictorError for a precision that this CPU does not have.
    """

    backend = "openvino"
    device = "cpu"

    def __init__(self, graph: openvino.Model, precision: str = "float32") -> None:
        _, *shape = graph.input().get_partial_shape()
        self.input_shape = tuple(size.get_length() for size in shape)
        self.n_outputs = graph.output().get_partial_shape()[1].get_length()
        self.dtype = precision
        self._requests = _requests(graph, precision)
        self._lock = Lock()  # a request holds the arrays of one call
        for n in (1, 2, physical_batch(self.input_shape, self.device)):
            self(np.zeros((n, *self.input_shape), np.float32))

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        check_pictures(pictures, self.input_shape)
        parts = np.array_split(pictures, min(len(self._requests), len(pictures)))
        with self._lock:
            busy = self._requests[: len(parts)]
            for request, part in zip(busy, parts, strict=True):
                request.start_async([part], share_inputs=True)
            return np.concatenate([_scores(request) for request in busy])


def _requests(graph: openvino.Model, precision: str) -> list[openvino.InferRequest]:
    """Compile for the CPU and give as many requests as suit its cores.

    Cores that each take a part of a batch do not wait for each other after every layer.
    """
    wanted = HINTS[precision]
    options = {
        "INFERENCE_PRECISION_HINT": wanted,
        "PERFORMANCE_HINT": "THROUGHPUT",
        "PERFORMANCE_HINT_NUM_REQUESTS": min(CORES, MOST_SHARES),
    }
    compiled = openvino.Core().compile_model(graph, "CPU", options)
    taken = compiled.get_property("INFERENCE_PRECISION_HINT")
    if taken != wanted:  # OpenVINO takes another without a word
        raise PredictorError(
            f"OpenVINO computes in {taken.to_dtype()} on this CPU, not in {precision}; "
            f"bfloat16 needs a CPU with AVX-512 or AMX"
        )
    count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    return [compiled.create_infer_request() for _ in range(min(count, MOST_SHARES))]


def _scores(request: openvino.InferRequest) -> NDArray[np.float32]:
    """Wait for a request: (N, K), its own until it starts again."""
    request.wait()
    scores: NDArray[np.float32] = request.get_output_tensor().data
    return scores
