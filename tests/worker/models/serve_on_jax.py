"""Loads the models of a file with Keras on JAX, and writes their scores: FILE ANSWERS."""

import sys
from pathlib import Path

import numpy as np

from worker.engine.scoring.precision import soft_pictures
from worker.models.registry import read_registry

registry = read_registry(Path(sys.argv[1]), weights_cache=None)
answers = {}
for name in registry.names:
    registry.load(name)
    card = next(card for card in registry.cards() if card.name == name)
    answers[f"{name} card"] = card.model_dump_json()
    if card.reason is None:
        model = registry.get(name)
        answers[f"{name} scores"] = model.predictor(soft_pictures(card.input_shape, 5))
        if model.card.precision_error:
            answers[f"{name} error"] = model.card.precision_error.largest
np.savez(sys.argv[2], keras=registry.keras_backend, **answers)
assert "tensorflow" not in sys.modules, "JAX alone is to be loaded"
