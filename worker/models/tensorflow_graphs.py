"""Digests the graph of a SavedModel's signature without its names, and finds its compute dtype.

TensorFlow renumbers nodes and functions when it saves and loads. So, as in a Merkle tree, a node is
identified by its operation and inputs, and a function by its outputs; nodes that lead to no output
have no effect.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np

from service.schemas.fingerprint import digest_of_json

Signature = Any  # a ConcreteFunction; TensorFlow has no complete types
Graph = Any  # a GraphDef
Node = Any  # a NodeDef of it
Known = dict[str, str]  # digests of nodes by their names

# Attributes that say where and how fast a node runs, as do all that begin with "_"
NOT_COMPUTING = {"config", "config_proto", "executor_type", "container", "debug_name"}
MANTISSA = {"bfloat16": 7, "float16": 10, "float32": 23, "float64": 52}  # bits; float8: fewer
DATA_MOVEMENT = {  # operations without arithmetic
    *("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Shape", "Transpose", "Pack"),
    *("StopGradient", "EnsureShape", "StridedSlice", "Slice", "ConcatV2", "Tile", "Unpack"),
    *("Pad", "PadV2", "MirrorPad", "Fill", "BroadcastTo", "GatherV2", "PreventGradient"),
}


def graph_architecture(signature: Signature, folder: Path) -> str:
    """Digest a signature with one input and one output, loaded from the folder.

    A graph with loops of TensorFlow 1, or with tables, gets the digest of the whole folder.
    """
    variables = {id(each.handle): place for place, each in enumerate(signature.variables)}
    try:
        inputs = _inputs(signature, variables)
        graph = signature.graph.as_graph_def()
        known = _Functions(graph.library.function).digests(
            graph.node, {name: digest_of_json(kind) for name, kind in inputs.items()}
        )
    except (CycleError, _UnknownInputError):
        return _folder_digest(folder)
    [output] = signature.outputs
    name, _, place = output.name.partition(":")
    return digest_of_json([known[name], place])


def graph_dtype(signature: Signature) -> str:
    """Return the least precise float dtype of the signature's operations; float32 without any."""
    import tensorflow as tf

    types = {
        tf.as_dtype(node.attr["T"].type)
        for node in _nodes(signature.graph.as_graph_def())
        if node.op not in DATA_MOVEMENT and node.attr["T"].WhichOneof("value") == "type"
    }
    return least_precise(each.name for each in types if each.is_floating)


def draws_at_random(graph: Graph) -> bool:
    """Tell whether a GraphDef has an operation that draws random numbers, even if in training."""
    kinds = ("Random", "Multinomial", "TruncatedNormal", "Stateful", "Rng")
    calls = ("StatefulPartitionedCall",)
    return any(
        node.op not in calls and any(kind in node.op for kind in kinds) for node in _nodes(graph)
    )


def least_precise(dtypes: Iterable[str]) -> str:
    """Return the float dtype with the shortest mantissa among names; float32 if there are none."""
    return min(dtypes, key=lambda name: MANTISSA.get(name, 0), default="float32")


class _UnknownInputError(Exception):
    """The graph depends on a resource that is not a number, such as a table."""


def _inputs(signature: Signature, variables: Mapping[int, int]) -> dict[str, Any]:
    """Return the meaning of each placeholder of the graph. Raises _UnknownInputError."""
    import tensorflow as tf

    captured = list(signature.captured_inputs)
    inputs = list(signature.inputs)
    given = len(inputs) - len(captured)
    kinds: dict[str, Any] = {
        tensor.op.name: ["input", place, tensor.dtype.name, str(tensor.shape)]
        for place, tensor in enumerate(inputs[:given])
    }
    for tensor, value in zip(inputs[given:], captured, strict=True):
        if id(value) in variables:
            kinds[tensor.op.name] = ["variable", variables[id(value)]]
        elif value.dtype in (tf.resource, tf.variant):
            raise _UnknownInputError
        else:
            kinds[tensor.op.name] = ["constant", _array_digest(value.numpy())]
    return kinds


class _Functions:
    """The function library of a graph; computes each function's digest at its first use."""

    def __init__(self, functions: Sequence[Any]) -> None:
        self._functions = {each.signature.name: each for each in functions}
        self._known: dict[str, str | None] = {}  # None: in progress

    def digest(self, name: str) -> str:
        """Digest the function of this name. Raises CycleError, _UnknownInputError."""
        if name not in self._functions:
            raise _UnknownInputError
        if name not in self._known:
            self._known[name] = None
            function = self._functions[name]
            arguments = {
                each.name: digest_of_json(["argument", place, each.type])
                for place, each in enumerate(function.signature.input_arg)
            }
            known = self.digests(function.node_def, arguments)
            outputs = [function.ret[each.name] for each in function.signature.output_arg]
            effects = sorted(known[each] for each in function.control_ret.values())
            self._known[name] = digest_of_json(
                [[_fed(output, known) for output in outputs], effects]
            )
        if (digest := self._known[name]) is None:
            raise CycleError(f"{name} calls itself")
        return digest

    def digests(self, nodes: Sequence[Node], given: Known) -> Known:
        """Digest each node, by name; given: the digests of inputs from outside the nodes."""
        by_name = {node.name: node for node in nodes}
        feeds = {
            name: [source for each in node.input if (source := _source(each)) in by_name]
            for name, node in by_name.items()
        }
        known = dict(given)
        for name in TopologicalSorter(feeds).static_order():
            if name in given:
                continue
            node = by_name[name]
            attributes = {
                key: _attribute(value, self.digest)
                for key, value in node.attr.items()
                if key not in NOT_COMPUTING and not key.startswith("_")
            }
            fed = [_fed(each, known) for each in node.input if not each.startswith("^")]
            after = sorted(known[_source(each)] for each in node.input if each.startswith("^"))
            known[name] = digest_of_json([node.op, attributes, fed, after])
        return known


def _source(text: str) -> str:
    """Return the node's name in "^name", "name", "name:1" or "name:output:1"."""
    return text.removeprefix("^").partition(":")[0]


def _fed(text: str, known: Known) -> list[str]:
    """Return the node's digest and the output's position; a bare name means output 0."""
    return [known[_source(text)], text.partition(":")[2] or "0"]


def _attribute(value: Any, function: Callable[[str], str]) -> Any:
    import tensorflow as tf

    kind = value.WhichOneof("value")
    if kind == "func":
        return _called(value.func, function)
    if kind == "list" and value.list.func:
        return [_called(each, function) for each in value.list.func]
    if kind == "tensor":
        return _array_digest(tf.make_ndarray(value.tensor))
    return value.SerializeToString(deterministic=True).hex()


def _called(func: Any, function: Callable[[str], str]) -> Any:
    """Describe a function call: the function's digest and its attributes."""
    attributes = {name: _attribute(each, function) for name, each in func.attr.items()}
    return [function(func.name) if func.name else "", attributes]


def _array_digest(array: Any) -> str:
    array = np.asarray(array)
    content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
    described = f"{array.shape} {array.dtype.name}\n".encode()
    return hashlib.sha256(described + content).hexdigest()


def _folder_digest(folder: Path) -> str:
    """Digest every file except TensorFlow's own fingerprint, which changes at every save."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest_of_json(
        [
            [str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()]
            for path in files
            if path.name != "fingerprint.pb"
        ]
    )


def _nodes(graph: Graph) -> Iterator[Node]:
    """Yield the nodes of the graph and of all its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def
