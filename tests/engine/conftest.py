"""What the engine's tests share: shap, imported once and with its warnings kept to itself."""

import warnings

import numpy as np
import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "tensorflow: runs TensorFlow; such modules share a process")


@pytest.fixture(scope="session")
def shap_module():
    """shap 0.51: the reference. Its import compiles for seconds, so one import serves all tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    return shap


@pytest.fixture(scope="session")
def shap_partition(shap_module):
    """Give a function that explains a picture by shap: values (H, W, C, K), base values (K,)."""

    def explain(function, picture, masker, **settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            masked = shap_module.maskers.Image(masker, picture.shape)
            explainer = shap_module.PartitionExplainer(function, masked)
            result = explainer(picture[np.newaxis], silent=True, **settings)
        return result.values[0], result.base_values[0]

    return explain
