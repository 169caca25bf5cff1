"""Models run by OpenVINO: on CPUs 1.4 times (ResNet50) to 2.7 times (MobileNetV2) as fast."""

import sys
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import numpy as np
from numpy.typing import NDArray

# OpenVINO reports every import to Google Analytics, unless this package cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino  # noqa: E402

from worker.engine.arrays import Pictures  # noqa: E402
from worker.engine.errors import PredictorError  # noqa: E402
from worker.engine.predictor import check_pictures  # noqa: E402
from worker.engine.scoring.batch_size import MAX_SHARES, device_batch_size, group  # noqa: E402
from worker.engine.scoring.cpu_count import CPU_COUNT  # noqa: E402

HINTS = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


def read_graph(graph: bytes) -> openvino.Model:
    """Read a serialised GraphDef of TensorFlow that has no variables, as frozen_graph gives it."""
    with TemporaryDirectory() as folder:  # OpenVINO reads TensorFlow's graphs from files only
        path = Path(folder, "graph.pb")
        path.write_bytes(graph)
        return openvino.Core().read_model(path)


class OpenVINOPredictor:
    """A graph of pictures (N, H, W, C) to scores (N, K), with a free batch dimension.

    precision: the compute dtype. In float32, scores equal TensorFlow's but for rounding: within
    1e-5 of the largest. Raises PredictorError for a precision that this CPU does not have.

    The graph is compiled twice, as OpenVINO is faster with a fixed number of pictures: for groups
    of that number, which the cores take in turn, and for the rest of a batch, one share per core.
    """

    backend = "openvino"
    device = "cpu"

    def __init__(self, graph: openvino.Model, precision: str = "float32") -> None:
        _, *shape = graph.input().get_partial_shape()
        self.input_shape = tuple(size.get_length() for size in shape)
        self.n_outputs = graph.output().get_partial_shape()[1].get_length()
        self.dtype = precision
        self._group = group(self.input_shape)
        fixed = graph.clone()
        fixed.reshape((self._group, *self.input_shape))
        self._fixed, self._free = _requests(fixed, precision), _requests(graph, precision)
        self._lock = Lock()  # a queue of requests has one callback
        for n in (1, 2, device_batch_size(self.input_shape, self.device) + 1):
            self(np.zeros((n, *self.input_shape), np.float32))

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        check_pictures(pictures, self.input_shape)
        pictures = np.ascontiguousarray(pictures)  # what is shared is read in this order
        count, takers = len(pictures), len(self._fixed)
        grouped = count - count % (takers * self._group)  # each core takes as many groups
        groups = range(0, grouped, self._group)
        cuts = np.linspace(grouped, count, min(takers, count - grouped) + 1).astype(int)
        scores = np.empty((count, self.n_outputs), np.float32)

        def keep(request: openvino.InferRequest, place: slice) -> None:
            scores[place] = request.get_output_tensor().data

        with self._lock:
            for requests, parts in (
                (self._fixed, [slice(start, start + self._group) for start in groups]),
                (self._free, [slice(start, end) for start, end in pairwise(cuts)]),
            ):
                requests.set_callback(keep)
                for part in parts:
                    requests.start_async([pictures[part]], part, share_inputs=True)
            self._fixed.wait_all()
            self._free.wait_all()
        return scores


def _requests(graph: openvino.Model, precision: str) -> openvino.AsyncInferQueue:
    """Compile for the CPU and return a queue of as many requests as suit its cores.

    Cores that each take a part of a batch do not wait for each other after every layer.
    """
    wanted = HINTS[precision]
    options = {
        "INFERENCE_PRECISION_HINT": wanted,
        "PERFORMANCE_HINT": "THROUGHPUT",
        "PERFORMANCE_HINT_NUM_REQUESTS": min(CPU_COUNT, MAX_SHARES),
    }
    compiled = openvino.Core().compile_model(graph, "CPU", options)
    taken = compiled.get_property("INFERENCE_PRECISION_HINT")
    if taken != wanted:  # OpenVINO silently uses another
        raise PredictorError(
            f"OpenVINO computes in {taken.to_dtype()} on this CPU, not in {precision}; bfloat16 "
            f"needs a CPU with AVX-512 or AMX"
        )
    count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    return openvino.AsyncInferQueue(compiled, min(count, MAX_SHARES))
