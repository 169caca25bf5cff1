"""Translates the config of a whole model from the form of Keras 2 and `.h5` files to Keras 3's.

A model is a tree of layers, each `{"class_name": …, "config": …}`; a Functional one lists in
`inbound_nodes` the inputs of each layer's calls. Keras 3 needs the module of each class, accepts
no "/" in names, and counts the calls of nested models from 0.
"""

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

from worker.models.error_causes import HOLDS_CODE
from worker.models.errors import ModelUnavailableError
from worker.models.keras2.layers import (
    PACKAGE,
    RULES,
    TENSOR,
    Config,
    Rule,
    translate_settings,
)

FUNCTIONAL = ("Functional", "Model")
OF_OPERATIONS = ("TFOpLambda", "SlicingOpLambda")
CONSTANT = "_CONSTANT_VALUE"
LAYERS = ("keras.layers",)
LAYERS_AND_OPERATIONS = (
    *("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.math", "keras.src.ops.image"),
    *("keras.src.ops.linalg", "keras.src.ops.core", *LAYERS),
)


def translate(model: Config, *, keras2: bool) -> Config:
    """Translate a model's config. keras2: whether Keras 2 wrote it. Raises ModelUnavailableError.

    A config of Keras 3 in an `.h5` file is translated too.
    """
    return _layer(_plain(model), keras2)


def _plain(value: Any) -> Any:
    """Convert tuples, shapes and NumPy arrays to lists and numbers."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("class_name", value.get("type"))
    if kind in ("__tuple__", "TensorShape") and "items" in value:
        return _plain(value["items"])
    if kind == "ndarray" and "value" in value:
        return value["value"]
    if kind in ("__numpy__", "__tensor__") and isinstance(value.get("config"), dict):
        return value["config"]["value"]
    return {key: _plain(each) for key, each in value.items()}


def operation(config: Config, arguments: list[Any]) -> Config:
    """Build the layer for a TFOpLambda or SlicingOpLambda. Raises ModelUnavailableError."""
    from worker.models.keras2.operations import OPERATIONS

    name, function = config["name"], config["function"].removeprefix("compat.v1.")
    if function not in OPERATIONS:
        raise ModelUnavailableError(
            f"layer {name} (TFOpLambda): operation tf.{config['function']} is not supported in "
            f"files of Keras 2; export the model as a SavedModel"
        )
    settings = {"name": name, "function": function, "arguments": arguments}
    return _object(PACKAGE, "TensorOperation", settings)


def _layer(layer: Config, keras2: bool) -> Config:
    """Translate a layer, or a model used as one."""
    class_name, config = layer["class_name"], layer["config"]
    if class_name in FUNCTIONAL:
        return _object("keras.src.models.functional", "Functional", _functional(config, keras2))
    if class_name == "Sequential":
        return _object("keras", "Sequential", _sequential(config, keras2))
    if class_name == "Lambda" and keras2:
        raise ModelUnavailableError(f"layer {config.get('name')} (Lambda): {HOLDS_CODE}")
    if keras2:
        from worker.models.keras2 import stand_ins  # noqa: F401 — registers them with Keras

    rule, settings = (
        translate_settings(class_name, config)
        if keras2
        else (RULES.get(class_name, Rule()), config)
    )
    for key, value in settings.items():
        if key in ("layer", "backward_layer", "cell") and isinstance(value, dict):
            settings[key] = _layer(value, keras2)
        if key == "cells":
            settings[key] = [_layer(each, keras2) for each in value]
    name = (rule.becomes if keras2 else None) or class_name
    return _object(rule.module or _module(name, config, keras2), name, settings)


def _object(module: str, class_name: str, config: Config) -> Config:
    """Build the config of an object; module: a module of Keras, or `shapshot` for our classes."""
    if "name" in config:
        config = {**config, "name": _name(config["name"])}
    ours = module == PACKAGE
    return {
        "module": None if ours else module,
        "class_name": class_name,
        "config": config,
        "registered_name": f"{PACKAGE}>{class_name}" if ours else None,
    }


def _name(name: str) -> str:
    return name.replace("/", ">")  # no other name has ">", so names stay unique


def _module(class_name: str, config: Config, keras2: bool) -> str:
    """Find the Keras 3 module of a layer, or of an operation such as `x / 255`.

    A layer and an operation may share a name, such as Subtract; in Keras 3 only layers have a
    dtype. Raises ModelUnavailableError.
    """
    for module in LAYERS if keras2 or "dtype" in config else LAYERS_AND_OPERATIONS:
        if isinstance(getattr(import_module(module), class_name, None), type):
            return module
    raise ModelUnavailableError(
        f"layer {config.get('name')} ({class_name}): Keras 3 has no such layer, and custom code is "
        f"never run: build the model from Keras's own layers, or export it as a SavedModel"
    )


def _sequential(config: Config | list[Config], keras2: bool) -> Config:
    """Translate a Sequential config; before Keras 2.2.3 it was the list of layers.

    Its input shape may be in the first layer.
    """
    if isinstance(config, list):
        config = {"name": "sequential", "layers": config}
    layers = [_layer(layer, keras2) for layer in config["layers"]]
    first = config["layers"][0] if layers else {}
    shape = first.get("config", {}).get("batch_input_shape") if first else None
    if keras2 and shape and first["class_name"] != "InputLayer":
        given = {"batch_shape": shape, "dtype": None, "name": f"{first['config']['name']}_input"}
        layers.insert(0, _object("keras.layers", "InputLayer", given))
    return {**config, "layers": layers}


# --- Functional models


def _functional(config: Config, keras2: bool) -> Config:
    layers = []
    calls = _Calls(config) if keras2 else None
    for layer in config["layers"]:
        nodes = layer["inbound_nodes"]
        if calls and layer["class_name"] in OF_OPERATIONS:
            arguments, node = calls.operation(layer)
            translated, nodes = operation(layer["config"], arguments), [node]
        else:
            translated = _layer(layer, keras2)
            nodes = [calls.node(each) for each in nodes] if calls else nodes
        layers.append({**translated, "name": _name(layer["name"]), "inbound_nodes": nodes})
    ends = {key: config[key] for key in ("input_layers", "output_layers")}
    if calls:
        ends = {key: calls.ends(value) for key, value in ends.items()}
    kept: Config = {key: config[key] for key in ("name", "trainable") if key in config}
    return {**kept, "layers": layers, **ends}


class _Calls:
    """The calls of the layers of one Functional model of Keras 2.

    `["conv", 1, 0]` is tensor 0 of the second call of the layer `conv`. For a nested model the
    second call may have the number 2, as 0 is the call that built it.
    """

    def __init__(self, config: Config) -> None:
        self._classes = {layer["name"]: layer["class_name"] for layer in config["layers"]}
        nodes = [layer["inbound_nodes"] for layer in config["layers"]]
        last = Counter[str]()
        for found in self._tensors([nodes, config["input_layers"], config["output_layers"]]):
            for name, call, *_ in (found, *self._tensors(found[3:])):  # found[3:]: keywords
                last[name] = max(last[name], call)
        self._first = {
            layer["name"]: max(0, last[layer["name"]] + 1 - max(1, len(layer["inbound_nodes"])))
            for layer in config["layers"]
        }

    def node(self, node: Any) -> Config:
        """Convert `[["conv", 0, 0, {"training": False}]]` to the arguments of a call."""
        inputs, keywords = self._arguments(node, self._tensor)
        return {"args": [_alone(inputs)], "kwargs": keywords}

    def operation(self, layer: Config) -> tuple[list[Any], Config]:
        """Return an operation layer's arguments, with tensors replaced by numbers, and its call.

        Keras 2 creates an operation layer for a single call; here it is called on a list of the
        tensors.
        """
        [node] = layer["inbound_nodes"]
        tensors: list[Config] = []

        def numbered(value: list[Any]) -> Config:
            tensors.append(self._tensor(value))
            return {TENSOR: len(tensors) - 1}

        inputs, keywords = self._arguments(node, numbered)
        return [inputs, keywords], {"args": [tensors], "kwargs": {}}

    def _arguments(self, node: Any, tensor: Callable[[list[Any]], Config]) -> tuple[Any, Config]:
        """Return a call's first argument and its keywords, which every tensor of the first has."""
        keywords: Config = {}

        def is_input(value: Any) -> bool:
            constant = isinstance(value, list) and len(value) > 2 and value[:2] == [CONSTANT, -1]
            return constant or self._is_tensor(value)

        def read(value: list[Any]) -> Any:
            keywords.update(value[3] if len(value) > 3 else {})
            return value[2] if value[0] == CONSTANT else tensor(value)

        inputs = _mapped(node, is_input, read)
        return inputs, _mapped(keywords, self._is_tensor, tensor)

    def ends(self, tensors: Any) -> Any:
        """Translate inputs or outputs; in them Keras 3 counts calls of Functional models from 1."""

        def read(value: list[Any]) -> list[Any]:
            name, call, tensor = value
            from_one = self._classes[name] in FUNCTIONAL
            return [_name(name), call - self._first[name] + int(from_one), tensor]

        return _alone(_mapped(tensors, self._is_tensor, read))

    def _tensor(self, value: list[Any]) -> Config:
        name, call, tensor = value[:3]
        history = [_name(name), call - self._first[name], tensor]
        kept = {"shape": [], "dtype": "float32", "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": kept}

    def _is_tensor(self, value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) in (3, 4)
            and isinstance(value[0], str)
            and value[0] in self._classes
            and isinstance(value[1], int)
            and isinstance(value[2], int)
        )

    def _tensors(self, value: Any) -> list[list[Any]]:
        found: list[list[Any]] = []
        _mapped(value, self._is_tensor, found.append)
        return found


def _alone(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _mapped(value: Any, is_leaf: Callable[[Any], bool], change: Callable[[Any], Any]) -> Any:
    """Apply `change` to the parts of nested lists and dicts that `is_leaf` accepts."""
    if is_leaf(value):
        return change(value)
    if isinstance(value, list):
        return [_mapped(each, is_leaf, change) for each in value]
    if isinstance(value, dict):
        return {key: _mapped(each, is_leaf, change) for key, each in value.items()}
    return value
