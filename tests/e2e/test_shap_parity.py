"""Values over HTTP equal those that shap computes for the same model, picture and settings."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

import worker
from service.schemas.requests import ExplanationSettings, Outputs
from tests.e2e.conftest import Running
from tests.e2e.pictures import SAMPLE

pytestmark = pytest.mark.tensorflow
BUNDLED = Path(worker.__file__).parent / "bundled"


def scores_of(model: str) -> Callable[[np.ndarray], np.ndarray]:
    network = keras.saving.load_model(BUNDLED / f"{model}.keras")
    return lambda pictures: network(pictures, training=False).numpy()


@pytest.mark.parametrize(
    ("model", "masker", "max_evals"),
    [
        ("cifar10", "inpaint_telea", 300),
        ("cifar10", "blur(16,16)", 300),
        ("fashion_mnist", "inpaint_ns", 200),
    ],
)
def test_partition_gives_the_values_of_shap(
    running: Running, shap_partition, model: str, masker: str, max_evals: int
) -> None:
    settings = ExplanationSettings(
        model=model, masker=masker, max_evals=max_evals, outputs=Outputs(indices=[0, 3, 5])
    )
    explanation = running.client.explain(SAMPLE, settings)
    ours = running.client.attributions(explanation.id)
    values, base_values = shap_partition(
        scores_of(model),
        ours.data,
        masker,
        max_evals=max_evals,
        batch_size=50,
        outputs=[0, 3, 5],
    )
    largest = np.abs(values).max()
    np.testing.assert_allclose(ours.values, values, atol=1e-6 * largest, rtol=0)
    np.testing.assert_allclose(ours.base_values, base_values, atol=1e-7)


def test_permutation_gives_the_values_of_shap(running: Running, shap_permutation) -> None:
    """The task of shap's Fashion-MNIST notebooks: each of 28 x 28 pixels is a player."""
    settings = ExplanationSettings(
        model="fashion_mnist",
        method="permutation",
        masker="blur(28,28)",
        max_evals=1600,
        outputs=Outputs(indices=list(range(10))),
        seed=3,
    )
    explanation = running.client.explain(SAMPLE, settings)
    ours = running.client.attributions(explanation.id)
    values = shap_permutation(scores_of("fashion_mnist"), ours.data, "blur(28,28)", 3, 1600)
    assert np.abs(values).max() > 0.01
    # Each is a difference of two float32 probabilities; batches of other sizes round differently.
    np.testing.assert_allclose(ours.values, values, atol=1e-6, rtol=0)
