"""What comes back over HTTP is what shap itself computes for the model, picture and settings."""

from pathlib import Path

import keras
import numpy as np
import pytest

import worker
from service.contract.schema import ExplanationSettings, Outputs
from tests.e2e.conftest import Running
from tests.e2e.pictures import SAMPLE

pytestmark = pytest.mark.tensorflow
BUNDLED = Path(worker.__file__).parent / "bundled"


@pytest.mark.parametrize(
    ("model", "masker", "max_evals"),
    [
        ("cifar10", "inpaint_telea", 300),
        ("cifar10", "blur(16,16)", 300),
        ("fashion_mnist", "inpaint_ns", 200),
    ],
)
def test_attributions_are_those_of_shap(
    running: Running, shap_partition, model: str, masker: str, max_evals: int
) -> None:
    settings = ExplanationSettings(
        model=model, masker=masker, max_evals=max_evals, outputs=Outputs(indices=[0, 3, 5])
    )
    explanation = running.client.explain(SAMPLE, settings)
    ours = running.client.attributions(explanation.id)
    network = keras.saving.load_model(BUNDLED / f"{model}.keras")
    values, base_values = shap_partition(
        lambda pictures: network(pictures, training=False).numpy(),
        ours["data"],
        masker,
        max_evals=max_evals,
        batch_size=50,
        outputs=[0, 3, 5],
    )
    largest = np.abs(values).max()
    np.testing.assert_allclose(ours["values"], values, atol=1e-6 * largest, rtol=0)
    np.testing.assert_allclose(ours["base_values"], base_values, atol=1e-7)
