"""The contenders. Each prepares once and returns a function that makes one explanation.

The function takes max_evals and returns the values (H, W, C, K), or None for the bare model.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import BATCH_SIZE, OUTPUTS, SEGMENTS, Case, Subject
from worker.engine.arrays import Pictures
from worker.engine.game.coalitions import CHUNK, Shape
from worker.engine.scoring.batch_size import device_batch_size, next_span

if TYPE_CHECKING:
    from worker.engine.predictor import Predictor

Run = Callable[[int], NDArray[np.float64] | None]

# For pixels, shap 0.51 draws from numba's stream, and in another order than later versions.
DRAWS_ORDERS_AS_WE_DO = version("shap") != "0.51.0"


def shap(case: Case, subject: Subject) -> Run:
    """shap as its notebooks use it: the model called eagerly; the masker made once."""
    return SHAP[case.method](case, subject)


def _shap_partition(case: Case, subject: Subject) -> Run:
    import shap

    masker = shap.maskers.Image(case.masker, subject.picture.shape)
    explainer = shap.PartitionExplainer(_eager(subject), masker)

    def run(max_evals: int) -> NDArray[np.float64]:
        explanation = explainer(
            subject.picture[np.newaxis],
            max_evals=max_evals,
            batch_size=BATCH_SIZE,
            outputs=shap.Explanation.argsort.flip[:OUTPUTS],
            silent=True,
        )
        values: NDArray[np.float64] = explanation.values[0]
        return values

    return run


def _shap_permutation(case: Case, subject: Subject) -> Run:
    """It explains all outputs, whichever are requested."""
    import shap

    masker = shap.maskers.Image(case.masker, subject.picture.shape)
    explainer = shap.PermutationExplainer(_eager(subject), masker)
    fewest = 2 * subject.picture.size + 1

    def run(max_evals: int) -> NDArray[np.float64]:
        np.random.seed(0)
        explanation = explainer(
            subject.picture[np.newaxis],
            max_evals=max(max_evals, fewest),
            batch_size=BATCH_SIZE,
            silent=True,
        )
        values: NDArray[np.float64] = explanation.values[0][..., _top(subject)]
        return values

    return run


def _shap_kernel(case: Case, subject: Subject) -> Run:
    """The notebook's function of superpixels, for the requested outputs, scored by predict."""
    import shap

    picture, labels = subject.picture, superpixels(subject)  # (H, W, C), (H, W)
    top = _top(subject)
    players = int(labels.max()) + 1

    def of_superpixels(members: NDArray[np.float64]) -> NDArray[np.float32]:
        seen = members.astype(bool)[:, labels][..., np.newaxis]  # (N, H, W, 1)
        masked = np.where(seen, picture, np.float32(255))
        scores: NDArray[np.float32] = subject.model.predict(subject.preprocess(masked), verbose=0)
        return scores[:, top]

    explainer = shap.KernelExplainer(of_superpixels, np.zeros((1, players)))
    sizes = np.bincount(labels.ravel()) * picture.shape[2]

    def run(max_evals: int) -> NDArray[np.float64]:
        np.random.seed(0)
        values = explainer.shap_values(
            np.ones((1, players)), nsamples=max_evals - 2, l1_reg=False, silent=True
        )[0]  # (M, K)
        spread: NDArray[np.float64] = (values / sizes[:, np.newaxis])[labels][:, :, np.newaxis]
        return np.broadcast_to(spread, (*picture.shape, OUTPUTS))

    return run


def superpixels(subject: Subject) -> NDArray[np.int64]:
    """Return the superpixel of every pixel, (H, W), 0..M-1, as the notebook cuts them."""
    from skimage.segmentation import slic

    picture = subject.picture.astype(np.uint8)
    labels: NDArray[np.int64] = slic(
        picture, n_segments=SEGMENTS, compactness=30, sigma=3, start_label=0
    )
    return labels


def _eager(subject: Subject) -> Callable[[NDArray[np.float32]], Any]:
    return lambda pictures: subject.model(subject.preprocess(pictures))


def _top(subject: Subject) -> NDArray[np.int64]:
    scores = _eager(subject)(subject.picture[np.newaxis].copy()).numpy()[0]
    return np.argsort(-scores, kind="stable")[:OUTPUTS]


SHAP: dict[str, Callable[[Case, Subject], Run]] = {
    "partition": _shap_partition,
    "permutation": _shap_permutation,
    "kernel": _shap_kernel,
}


def ours(case: Case, subject: Subject) -> Run:
    """This engine, with the model compiled as the worker compiles it on loading."""
    from worker.engine.backends.tensorflow import TensorFlowPredictor

    return _engine(case, subject, TensorFlowPredictor(subject.model, subject.preprocess))


def frozen(case: Case, subject: Subject) -> Run:
    """This engine on TensorFlow with the variables folded into constants."""
    from worker.engine.backends.tensorflow import FrozenPredictor

    return _engine(case, subject, FrozenPredictor(subject.model, subject.preprocess))


def openvino(case: Case, subject: Subject, precision: str = "float32") -> Run:
    """This engine on OpenVINO."""
    from worker.engine.backends.openvino import OpenVINOPredictor, read_graph
    from worker.engine.backends.tensorflow import frozen_graph

    graph = frozen_graph(subject.model, subject.preprocess, subject.picture.shape)
    return _engine(case, subject, OpenVINOPredictor(read_graph(graph), precision))


def draft(case: Case, subject: Subject) -> Run:
    """The same in bfloat16, if the CPU has it: other scores, and so other values."""
    return openvino(case, subject, "bfloat16")


def _engine(case: Case, subject: Subject, predictor: "Predictor") -> Run:
    from worker.adapters.engine_request import read_masker
    from worker.engine.game.superpixels import PIXELS, Slic
    from worker.engine.request import Request, Top
    from worker.engine.scoring.driver import explain

    fewest = 2 * subject.picture.size + 1 if case.method == "permutation" else 2

    def run(max_evals: int) -> NDArray[np.float64]:
        request = Request(
            method=case.method,
            masker=read_masker(case.masker),
            outputs=Top(OUTPUTS),
            superpixels=Slic(SEGMENTS) if case.method == "kernel" else PIXELS,
            max_evals=max(max_evals, fewest),
            batch_size=BATCH_SIZE,
        )
        return explain(predictor, subject.picture, request).attribution.values

    return run


def overhead(case: Case, subject: Subject) -> Run:
    """This engine and a model that costs nothing: painting and bookkeeping alone."""
    return _engine(case, subject, Free(subject.picture.shape, subject.model.output_shape[-1]))


class Free:
    """A predictor whose scores are a picture's first numbers."""

    backend, device, dtype = "none", "cpu", "float32"

    def __init__(self, input_shape: Shape, n_outputs: int) -> None:
        self.input_shape, self.n_outputs = input_shape, n_outputs

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        return pictures.reshape(len(pictures), -1)[:, : self.n_outputs].copy()


def forward(case: Case, subject: Subject) -> Run:
    """The bare compiled model, on as many pictures in batches of the same size."""
    import tensorflow as tf

    model = tf.function(
        lambda pictures: subject.model(subject.preprocess(pictures)),
        input_signature=[tf.TensorSpec((None, *subject.picture.shape), tf.float32)],
    )
    largest = device_batch_size(subject.picture.shape, "cpu") + 1
    pictures = np.broadcast_to(subject.picture, (largest, *subject.picture.shape)).copy()

    def run(max_evals: int) -> None:
        for size in _batches(case, max_evals, subject):
            model(tf.constant(pictures[:size])).numpy()

    return run


def _batches(case: Case, max_evals: int, subject: Subject) -> Iterator[int]:
    """Return the sizes of the batches in which the engine scores `max_evals` pictures."""
    physical = device_batch_size(subject.picture.shape, "cpu")
    asked_at_a_time = BATCH_SIZE if case.method == "partition" else CHUNK
    yield from (1, 1)
    for start in range(2, max_evals, asked_at_a_time):
        left = min(asked_at_a_time, max_evals - start)
        while left:
            size = next_span(left, physical)
            yield size
            left -= size


CONTENDERS: dict[str, Callable[[Case, Subject], Run]] = {
    "shap": shap,
    "ours": ours,
    "frozen": frozen,
    "openvino": openvino,
    "draft": draft,
    "overhead": overhead,
    "forward": forward,
}
