"""The models shipped with the project."""

import tomllib
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import skimage.data

import worker.bundled
from worker.engine.backends.tensorflow import TensorFlowPredictor
from worker.engine.explanation import ExplanationRun
from worker.engine.game.superpixels import Grid
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.request import Request
from worker.engine.scoring.driver import evaluate_all, explain

FOLDER = Path(worker.bundled.__file__).parent
REGISTRY = tomllib.loads((FOLDER / "models.toml").read_text())
NAMES = ("cifar10", "fashion_mnist")
SHAPES = {"cifar10": (None, 32, 32, 3), "fashion_mnist": (None, 28, 28, 1)}


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> keras.Model:
    return load(request.param)


def load(name: str) -> keras.Model:
    return keras.saving.load_model(FOLDER / REGISTRY["models"][name]["file"], safe_mode=True)


def pictures(model: keras.Model, count: int = 4) -> np.ndarray:
    """Draw noise of whole pixel values 0..255, (count, H, W, C) float32."""
    noise = np.random.default_rng(0).integers(0, 256, (count, *model.input_shape[1:]))
    return noise.astype(np.float32)


def test_both_files_together_are_under_three_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.keras")) < 3_000_000


def test_the_registry_names_every_file_and_a_label_for_every_output(model):
    entry = REGISTRY["models"][model.name]
    assert SHAPES[model.name] == model.input_shape
    assert len(set(entry["labels"])) == model.output_shape[-1] == 10


def test_the_default_models_are_in_the_registry():
    assert set(REGISTRY["default"]) <= set(REGISTRY["models"])


def test_imagenet_has_a_thousand_different_labels():
    labels = (FOLDER / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    assert len(labels) == len({label.casefold() for label in labels}) == 1000
    assert all(label == label.strip() and label for label in labels)


@pytest.mark.parametrize(
    ("index", "label"),  # from ILSVRC 2012's own table of synsets
    [
        (0, "tench"),
        (134, "crane (bird)"),
        (207, "golden retriever"),
        (281, "tabby cat"),
        (340, "zebra"),
        (387, "red panda"),
        (517, "crane (machine)"),
        (638, "maillot (tights)"),
        (639, "maillot (swimsuit)"),
        (814, "speedboat"),
        (837, "sunglasses"),
        (949, "strawberry"),
        (967, "espresso"),
        (999, "toilet paper"),
    ],
)
def test_the_labels_of_imagenet_are_in_its_order(index, label):
    labels = (FOLDER / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    assert labels[index] == label


def test_a_model_takes_pixel_values_and_rescales_them_itself(model):
    assert isinstance(model.layers[1], keras.layers.Rescaling)
    rescaled = keras.Model(model.input, model.layers[1].output)
    edges = np.stack([np.zeros(model.input_shape[1:]), np.full(model.input_shape[1:], 255)])
    assert np.abs(rescaled(edges)).max() <= 3


def test_scores_are_float32_probabilities_that_sum_to_one(model):
    scores = np.asarray(model(pictures(model)))
    assert scores.dtype == np.float32
    assert scores.min() >= 0
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_a_picture_has_the_same_scores_alone_and_in_a_batch(model):
    batch = pictures(model)
    alone = model(batch[:1])
    np.testing.assert_allclose(model(batch)[:1], alone, atol=1e-5)


def test_an_explanation_is_reproducible_alone_and_up_to_rounding_beside_others(model):
    predictor = TensorFlowPredictor(model, lambda x: x)
    request = Request(
        masker=MaskerSpec("blur", (5, 5)), method="kernel", superpixels=Grid(4, 4), max_evals=100
    )
    photos = pictures(model, 3)
    alone, again = (
        [explain(predictor, each, request).attribution.values for each in photos] for _ in range(2)
    )
    np.testing.assert_array_equal(alone, again)
    beside = [ExplanationRun(predictor, each, request) for each in photos]
    found = dict(evaluate_all(beside, predictor))
    for each, values in zip(beside, alone, strict=True):
        difference = np.abs(found[each].attribution.values - values).max()
        assert difference < 1e-4 * np.abs(values).max()


def test_no_state_of_the_optimizer_is_saved(model):
    assert not model.compiled


def scores_of(photo: np.ndarray) -> dict[str, float]:
    pixels = cv2.resize(photo, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    scores = np.asarray(load("cifar10")(pixels[None]))[0]
    return dict(zip(REGISTRY["models"]["cifar10"]["labels"], scores.tolist(), strict=True))


def test_cifar10_is_sure_of_the_cat_in_a_photo_of_a_cat():
    assert scores_of(skimage.data.chelsea())["cat"] > 0.6


def test_cifar10_still_says_cat_when_the_centre_is_cut_out():
    scores = scores_of(skimage.data.chelsea()[:, 75:375])  # (300, 300, 3)
    assert max(scores, key=scores.__getitem__) == "cat"
