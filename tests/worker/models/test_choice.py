"""The choice of a backend for a model whose entry names none."""

import json
import sys
from collections import Counter
from functools import partial
from itertools import accumulate, cycle
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import worker.bundled
from service.schemas.models import ModelCard
from tests.extras import import_or_skip
from tests.worker.models.tiny_models import dense, export
from worker.engine.scoring.batch_size import device_batch_size
from worker.engine.scoring.precision import soft_pictures
from worker.models import choice
from worker.models.consistency import score_trials, trial_pictures

# Keras's variables implement __array__ as it was before NumPy 2
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.fixture
def network(tmp_path):
    """The file of a network of 64 x 64 pictures."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.save(path := tmp_path / "network.keras")
    return path


@pytest.fixture
def tried(serve):
    """Return the card of a file's only model, and its trials of OpenVINO and of TensorFlow."""
    import_or_skip("openvino")

    def load(text):
        [card] = serve(text).cards()
        openvino, tensorflow = card.backends_tried
        assert (openvino.backend, tensorflow.backend) == ("openvino", "tensorflow")
        assert ModelCard.model_validate_json(card.model_dump_json()) == card
        taken = [each.backend for each in card.backends_tried if each.taken]
        assert taken == [card.backend] == [card.parts.backend]
        assert all((each.reason is None) == each.taken for each in card.backends_tried)
        return card, openvino, tensorflow

    return load


def test_openvino_is_chosen_if_it_agrees_with_tensorflow(tried, network):
    card, openvino, tensorflow = tried(f'[models.a]\nfile = "{network}"')
    assert card.backend == "openvino"
    assert 0 < openvino.difference <= 1e-5
    assert tensorflow.difference == 0
    assert openvino.cpu_ms > 0
    assert tensorflow.cpu_ms > 0


def test_the_scores_are_those_of_the_reported_backend(serve, network):
    import_or_skip("openvino")
    table = f'file = "{network}"'
    registry = serve(
        f'[models.open]\n{table}\n[models.told]\n{table}\nbackend = "auto"\n'
        f'[models.named]\n{table}\nbackend = "openvino"'
    )
    pictures = soft_pictures((64, 64, 3), 3)
    models = [registry.get(name) for name in ("open", "told", "named")]
    assert len({model.card.fingerprint for model in models}) == 1
    scores = [model.predictor(pictures) for model in models]
    np.testing.assert_array_equal(scores[0], scores[2])
    np.testing.assert_array_equal(scores[1], scores[2])
    assert registry.get("named").card.backends_tried == []


def test_without_openvino_tensorflow_is_chosen_and_the_card_names_the_extra(
    tried, network, monkeypatch
):
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    card, openvino, _ = tried(f'[models.a]\nfile = "{network}"')
    assert card.backend == "tensorflow"
    assert openvino.reason == "needs the extra openvino: pip install 'shapshot[openvino]'"


def test_tensorflow_is_chosen_if_openvino_cannot_convert_the_model(tried, tmp_path):
    def largest_singular_values(pictures):
        return tf.linalg.svd(pictures[..., 0], compute_uv=False)[:, :2]  # (N, 2)

    export(
        tmp_path / "svd",
        tf.TensorSpec((None, 64, 64, 3), tf.float32),
        {"scores": largest_singular_values},
    )
    card, openvino, _ = tried('[models.a]\nsaved_model = "svd"')
    assert card.backend == "tensorflow"
    assert openvino.reason.startswith("does not run the model: ")
    assert "Svd" in openvino.reason
    assert (openvino.difference, openvino.cpu_ms) == (None, None)


def test_small_pictures_stay_with_tensorflow(tried):
    cifar10 = Path(worker.bundled.__file__).parent / "cifar10.keras"
    card, openvino, _ = tried(f'[models.a]\nfile = "{cifar10}"')
    assert card.backend == "tensorflow"
    assert openvino.reason == "saves little on pictures as small as 32 x 32"


def test_openvino_is_not_chosen_if_its_scores_differ(tried, tmp_path):
    keras.utils.set_random_seed(0)
    half = keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, dtype="mixed_float16"),  # OpenVINO computes it in float32
            layers.Flatten(),
            layers.Dense(2, dtype="float32"),
        ]
    )
    half.save(tmp_path / "half.keras")
    card, openvino, _ = tried('[models.a]\nfile = "half.keras"')
    assert card.backend == "tensorflow"
    assert openvino.difference > 1e-5
    assert "of the largest score; at most 1e-05 is accepted" in openvino.reason


@pytest.mark.parametrize(
    ("tensorflow_ms", "openvino_ms", "taken"),
    [
        (1.0, 2.9, "openvino"),
        (1.0, 3.1, "tensorflow"),  # more than 3 times as long
        (0.01, 0.2, "openvino"),  # 20 times as long, but within 0.2 ms of TensorFlow
        (0.01, 0.22, "tensorflow"),
    ],
)
def test_openvino_is_not_chosen_if_it_is_far_slower(
    tried, tmp_path, monkeypatch, tensorflow_ms, openvino_ms, taken
):
    """With a CPU clock that shows these milliseconds for each picture of a full batch."""
    batch = device_batch_size((64, 64, 3), "cpu")
    steps = cycle(1e-3 * batch * each for each in (0.0, tensorflow_ms, 0.0, openvino_ms))
    monkeypatch.setattr(choice, "process_time", partial(next, accumulate(steps)))
    keras.utils.set_random_seed(0)
    dense((64, 64, 3)).save(tmp_path / "tiny.keras")
    card, openvino, tensorflow = tried('[models.a]\nfile = "tiny.keras"')
    assert card.backend == taken
    assert openvino.cpu_ms == pytest.approx(openvino_ms)
    assert tensorflow.cpu_ms == pytest.approx(tensorflow_ms)
    if taken == "tensorflow":
        assert openvino.reason == "takes more than 3 times the CPU time of TensorFlow"


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("auto", {"openvino": 2, "tensorflow": 1}),
        ("openvino", {"openvino": 2}),
        ("tensorflow", {"tensorflow": 2}),
    ],
)
def test_the_trial_pictures_are_scored_once_and_then_checked_once(
    serve, network, monkeypatch, backend, expected
):
    """When a backend is chosen, the scores that were compared also serve the checks."""
    import_or_skip("openvino")
    from worker.engine.backends.openvino import OpenVINOPredictor
    from worker.engine.backends.tensorflow import TensorFlowPredictor

    trials = np.stack(list(trial_pictures((64, 64, 3)).values()))
    scored = Counter()

    def counted(call):
        def score(predictor, pictures):
            scored[predictor.backend] += np.array_equal(pictures, trials)
            return call(predictor, pictures)

        return score

    for kind in (OpenVINOPredictor, TensorFlowPredictor):
        monkeypatch.setattr(kind, "__call__", counted(kind.__call__))
    [card] = serve(f'[models.a]\nfile = "{network}"\nbackend = "{backend}"').cards()
    assert card.reason is None
    assert scored == expected


def test_nan_on_one_side_is_a_difference_that_json_can_express(tried, tmp_path, monkeypatch):
    """For a score that is NaN by TensorFlow, and a number by OpenVINO."""
    scores = score_trials

    def with_a_number(predictor, pictures):
        found = scores(predictor, pictures)
        return np.nan_to_num(found) if predictor.backend == "openvino" else found

    monkeypatch.setattr(choice, "score_trials", with_a_number)
    export(
        tmp_path / "range",
        tf.TensorSpec((None, 64, 64, 3), tf.float32),
        {"scores": lambda x: tf.reduce_mean(x, (1, 2)) / tf.reduce_max(x, (1, 2))},
    )
    card, openvino, _ = tried('[models.a]\nsaved_model = "range"')
    assert card.backend == "tensorflow"
    assert openvino.difference is None
    assert json.loads(card.model_dump_json())["backends_tried"][0]["difference"] is None
