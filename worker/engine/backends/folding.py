"""Folds operations on the outputs of a TensorFlow graph's convolutions into their kernels."""

from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.grappler.tf_optimizer import OptimizeGraph

Graph = Any  # a GraphDef, and a NodeDef of it: TensorFlow has no complete types
Node = Any
Values = NDArray[np.float32]


def fold(graph: tf.Graph, output: str) -> Graph:
    """Return a GraphDef that computes tensor `output` of a graph without variables in fewer steps.

    Nodes that depend on constants alone are computed now; scales and shifts of a convolution's
    output channels become part of its kernel and one bias. Outputs change by rounding only.
    """
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(["constfold", "dependency"])
    with graph.as_default():
        exported = tf.compat.v1.train.export_meta_graph()
    exported.collection_def["train_op"].node_list.value.append(output)  # the tensor to keep
    folded = OptimizeGraph(config, exported)

    nodes = {node.name: node for node in folded.node}
    uses = Counter(_name(tensor) for node in folded.node for tensor in node.input)
    for node in list(nodes.values()):
        if node.op == "AddV2":
            _fold_into_convolution(node, nodes, uses, folded)
    return folded


def _fold_into_convolution(
    end: Node, nodes: dict[str, Node], uses: Counter[str], graph: Graph
) -> None:
    """Make a sum the bias of the convolution before it, if only constants come in between."""
    scale, shift, node = np.ones(1, np.float32), np.zeros(1, np.float32), end
    while node.op in ("AddV2", "BiasAdd", "Mul"):
        first, second = (nodes[_name(tensor)] for tensor in node.input[:2])
        before, other = (second, first) if first.op == "Const" else (first, second)
        constant = _value(other)
        if constant is None or constant.size != np.atleast_1d(constant).shape[-1]:
            return  # neither one number, nor one per channel
        if uses[before.name] > 1:  # other nodes use its output
            return
        if node.op == "Mul":
            scale = scale * constant.reshape(-1)
        else:
            shift = shift + scale * constant.reshape(-1)
        node = before
    if node.op not in ("Conv2D", "DepthwiseConv2dNative") or node.attr["data_format"].s != b"NHWC":
        return
    kernel = _value(nodes[_name(node.input[1])])
    if kernel is None:  # else (H, W, channels in, channels out), or (H, W, *channels out)
        return
    channels = kernel.shape[3:] if node.op == "Conv2D" else kernel.shape[2:]
    count = int(np.prod(channels))
    if not {scale.size, shift.size} <= {1, count}:  # would make one channel several
        return
    node.input[1] = _constant(f"{end.name}/kernel", kernel * _each(scale, channels), nodes, graph)
    end.op = "BiasAdd"
    end.attr["data_format"].s = b"NHWC"
    bias = _constant(f"{end.name}/bias", _each(shift, (count,)), nodes, graph)
    end.input[:] = [node.name, bias]


def _value(node: Node) -> Values | None:
    """Return the float32 array of a constant; None for other nodes."""
    if node.op != "Const" or node.attr["dtype"].type != tf.float32.as_datatype_enum:
        return None
    value: Values = tf.make_ndarray(node.attr["value"].tensor)
    return value


def _constant(name: str, value: Values, nodes: dict[str, Node], graph: Graph) -> str:
    """Add a constant and return its name."""
    nodes[name] = node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return name


def _each(values: Values, channels: tuple[int, ...]) -> Values:
    return np.broadcast_to(values, int(np.prod(channels))).reshape(channels)


def _name(tensor: str) -> str:
    """Return the node that a tensor, or a control input, comes from."""
    return tensor.lstrip("^").partition(":")[0]
