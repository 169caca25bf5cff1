"""Who is measured. Each prepares once and gives a function that does the work of one explanation.

The function takes max_evals and returns the values (H, W, C, K), or None for the bare model.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import BATCH_SIZE, OUTPUTS, Case, Subject
from worker.engine.physical import physical_batch, spans

Run = Callable[[int], NDArray[np.float64] | None]


def shap(case: Case, subject: Subject) -> Run:
    """shap as its notebooks use it: the model called eagerly; the masker made once."""
    import shap

    def predict(pictures: NDArray[np.float32]) -> Any:
        return subject.model(subject.preprocess(pictures))

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

    explainer = shap.PartitionExplainer(
        predict, shap.maskers.Image(case.masker, subject.picture.shape)
    )
    return run


def ours(case: Case, subject: Subject) -> Run:
    """This engine, the model compiled as the worker compiles it on loading."""
    from worker.engine.evaluate import explain
    from worker.engine.backends.tensorflow import TensorFlowPredictor
    from worker.engine.request import Request, Top

    predictor = TensorFlowPredictor(subject.model, subject.preprocess)

    def run(max_evals: int) -> NDArray[np.float64]:
        request = Request(
            masker=case.masker, outputs=Top(OUTPUTS), max_evals=max_evals, batch_size=BATCH_SIZE
        )
        return explain(predictor, subject.picture, request).attribution.values

    return run


def forward(case: Case, subject: Subject) -> Run:
    """The bare compiled model, on as many pictures in batches of the same size."""
    return _bare(_compiled(subject), subject)


def frozen(case: Case, subject: Subject) -> Run:
    """The bare compiled model with its variables folded into constants."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    graph = convert_variables_to_constants_v2(_compiled(subject).get_concrete_function())
    return _bare(lambda pictures: graph(pictures)[0], subject)


def _compiled(subject: Subject) -> Any:
    import tensorflow as tf

    return tf.function(
        lambda pictures: subject.model(subject.preprocess(pictures)),
        input_signature=[tf.TensorSpec((None, *subject.picture.shape), tf.float32)],
    )


def _bare(model: Callable[[Any], Any], subject: Subject) -> Run:
    import tensorflow as tf

    def run(max_evals: int) -> None:
        for size in _batches(max_evals, subject):
            model(tf.constant(pictures[:size])).numpy()

    largest = physical_batch(subject.picture.shape, "cpu") + 1
    pictures = np.broadcast_to(subject.picture, (largest, *subject.picture.shape)).copy()
    return run


def _batches(max_evals: int, subject: Subject) -> Iterator[int]:
    """Give the sizes of the batches in which the engine sends `max_evals` pictures to the model."""
    physical = physical_batch(subject.picture.shape, "cpu")
    yield from (1, 1)
    for start in range(2, max_evals, BATCH_SIZE):
        logical = min(BATCH_SIZE, max_evals - start)
        yield from (cut.stop - cut.start for cut in spans(logical, physical))


CONTENDERS: dict[str, Callable[[Case, Subject], Run]] = {
    "shap": shap,
    "ours": ours,
    "forward": forward,
    "frozen": frozen,
}
