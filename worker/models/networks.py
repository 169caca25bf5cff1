"""Opens the sources that the models file names: Keras files, SavedModels, applications, packages.

TensorFlow and Keras are imported where they are used: each takes seconds, and reading the models
file needs neither.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worker.models.applications import open_application
from worker.models.errors import ModelUnavailableError
from worker.models.keras_architecture import keras_architecture
from worker.models.keras_files import open_keras_file
from worker.models.models_file import ModelEntry
from worker.models.packaged import open_packaged
from worker.models.tensorflow_graphs import graph_architecture, graph_dtype, least_precise
from worker.models.unpacked_size import check_saved_model

Tensor = Any  # TensorFlow has no complete types
Shape = tuple[int, int, int]

WHOLE = {  # integer dtypes, and the range of each that float32 represents
    **{f"uint{bits}": (0.0, 2.0 ** min(bits, 24) - 1) for bits in (8, 16, 32, 64)},
    **{f"int{n}": (-(2.0 ** min(n - 1, 24)), 2.0 ** min(n - 1, 24) - 1) for n in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class Network:
    """A model as the predictor takes it: preprocessed pictures (N, H, W, C) to scores (N, K)."""

    forward: Callable[[Tensor], Tensor]
    as_input: Callable[[Tensor], Tensor]  # casts preprocessed pictures to the model's input dtype
    own_preprocessing: Callable[[Tensor], Tensor] | None
    input_shape: Shape
    compute_dtype: str
    architecture: str  # digest of the computation without the weights
    weights: list[Any]
    owner: object  # kept alive here, as `forward` only has weak references to it

    def __call__(self, pictures: Tensor) -> Tensor:
        return self.forward(pictures)


def open_network(entry: ModelEntry, *, weights_cache: Path | None) -> Network:
    """Open an entry's model with its weights. Raises ModelUnavailableError and Keras's errors."""
    if entry.file is not None:
        return _of_keras(open_keras_file(entry.file, max_bytes=entry.max_bytes), entry.input_shape)
    if entry.saved_model is not None:
        return _of_saved_model(entry.saved_model, entry.input_shape, entry.max_bytes)
    if entry.package is not None:
        return _of_keras(open_packaged(entry.package), entry.input_shape)
    model, preprocess = open_application(entry, weights_cache)
    return _of_keras(model, entry.input_shape, preprocess)


def weights_digest(weights: Iterable[Any]) -> str:
    """Return the sha256 over each array in the model's order: shape and dtype, then bytes.

    Shape and dtype are a line of text such as "(3, 3, 24) float32"; the bytes are C-ordered,
    little-endian. Names are left out, as they differ between kinds of files of one model.
    """
    digest = hashlib.sha256()
    for weight in weights:
        array = np.ascontiguousarray(weight)
        digest.update(f"{tuple(weight.shape)} {array.dtype.name}\n".encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"


def _of_keras(
    model: Any, wanted: Shape | None, preprocess: Callable[[Tensor], Tensor] | None = None
) -> Network:
    import keras

    inputs, outputs = getattr(model, "inputs", [None]), getattr(model, "outputs", [None])
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelUnavailableError(
            f"it has {len(inputs)} inputs and {len(outputs)} outputs; one of each is needed"
        )

    # Keras casts the input of each layer without sublayers to the layer's compute dtype
    layers = [each for each in model._flatten_layers() if not each._layers]  # no public iterator
    dtypes = [each.compute_dtype for each in layers if type(each).__name__ != "InputLayer"]

    def forward(pictures: Tensor) -> Tensor:
        # Without training=False, augmentation layers would run in training mode
        (scores,) = keras.tree.flatten(model(pictures, training=False))
        return scores

    return Network(
        forward=forward,
        as_input=_as_input(inputs[0].dtype if inputs[0] is not None else "float32", keras.ops),
        own_preprocessing=preprocess,
        input_shape=_input_shape(getattr(model, "input_shape", None), wanted),
        compute_dtype=least_precise(dtype for dtype in dtypes if "float" in dtype),
        architecture=keras_architecture(model),
        weights=model.weights,
        owner=model,
    )


def _as_input(dtype: str, library: Any) -> Callable[[Tensor], Tensor]:
    """Return the function that casts preprocessed pictures to a model's input dtype.

    For integer dtypes it rounds half to even and clips to the dtype's range. library: TensorFlow,
    or Keras's operations.
    """

    def convert(pictures: Tensor) -> Tensor:
        if dtype in WHOLE:
            low, high = WHOLE[dtype]
            pictures = library.minimum(library.maximum(library.round(pictures), low), high)
        return library.cast(pictures, dtype)

    return convert


def _of_saved_model(folder: Path, wanted: Shape | None, max_bytes: int) -> Network:
    import tensorflow as tf

    if not (folder / "saved_model.pb").is_file():
        raise ModelUnavailableError(f"{folder} is not a SavedModel: it has no file saved_model.pb")
    check_saved_model(folder, max_bytes)
    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures.get("serving_default")
    if signature is None:
        found = ", ".join(loaded.signatures) or "none"
        raise ModelUnavailableError(f"signature serving_default is needed; received {found}")
    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelUnavailableError(
            f"one input and one output are needed; serving_default takes {', '.join(inputs)} "
            f"and returns {', '.join(outputs)}"
        )
    ((keyword, spec),) = inputs.items()
    sizes = (None,) * 4 if spec.shape.rank is None else tuple(spec.shape)
    if sizes[:1] != (None,):
        raise ModelUnavailableError(
            f"it takes inputs of shape {sizes}; a free batch size is needed"
        )

    def forward(pictures: Tensor) -> Tensor:
        (scores,) = signature(**{keyword: pictures}).values()
        return scores

    return Network(
        forward=forward,
        as_input=_as_input(spec.dtype.name, tf),
        own_preprocessing=None,
        input_shape=_input_shape(sizes, wanted),
        compute_dtype=graph_dtype(signature),
        architecture=graph_architecture(signature, folder),
        weights=list(signature.variables),
        owner=loaded,
    )


def _input_shape(own: object, wanted: Shape | None) -> Shape:
    """Return the input shape (H, W, C); own: the model's (N, H, W, C), None for open sizes."""
    if not isinstance(own, tuple) or len(own) != 4:
        raise ModelUnavailableError(f"it takes inputs of shape {own}; (N, H, W, C) is needed")
    if wanted and any(a not in (None, b) for a, b in zip(own[1:], wanted, strict=True)):
        raise ModelUnavailableError(f"it takes inputs of shape {own}, but input_shape is {wanted}")
    H, W, C = wanted or own[1:]
    if None in (H, W, C):
        raise ModelUnavailableError(f"it takes inputs of shape {own}: input_shape is needed")
    if C not in (1, 3):
        raise ModelUnavailableError(
            f"it takes {C} channels; 1 (grey) or 3 (RGB), in the last axis, are accepted"
        )
    return H, W, C
