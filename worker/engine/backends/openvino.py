"""Models run by OpenVINO: on CPUs a fifth faster than TensorFlow, and twice in bfloat16."""

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
from worker.engine.errors import PredictorError  # noqa: E402
from worker.engine.physical import physical_batch  # noqa: E402
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
        self._request = _compile(graph, precision).create_infer_request()
        self._lock = Lock()  # a request holds the arrays of one call
        for n in (1, 2, physical_batch(self.input_shape, self.device)):
            self(np.zeros((n, *self.input_shape), np.float32))

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        check_pictures(pictures, self.input_shape)
        with self._lock:
            scores = self._request.infer([pictures], share_inputs=True, share_outputs=True)
            return np.array(scores[0])


def _compile(graph: openvino.Model, precision: str) -> openvino.CompiledModel:
    """Compile for the CPU: one stream on all cores, which gives the first batch soonest."""
    wanted = HINTS[precision]
    options = {"INFERENCE_PRECISION_HINT": wanted, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(graph, "CPU", options)
    taken = compiled.get_property("INFERENCE_PRECISION_HINT")
    if taken != wanted:  # OpenVINO takes another without a word
        raise PredictorError(
            f"OpenVINO computes in {taken.to_dtype()} on this CPU, not in {precision}; "
            f"bfloat16 needs a CPU with AVX-512 or AMX"
        )
    return compiled
