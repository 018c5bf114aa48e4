"""How does an operator of a quantized TFLite network keep its own arithmetic? Its formats and integers as the file has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, Node, QuantizedNode
from ggdq_mcu.graph.operator import Operator, scalar_clip
from ggdq_mcu.sources.tflite import CLIPS, Tensor, TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import activation_range

Array = NDArray[Any]
WITHOUT = "build it without --keep-quantization"
#: Scales from here to its inverse, so that products and quotients of three stay in single precision.
_LEAST_SCALE = 2.0**-40


@dataclass(frozen=True, eq=False)
class Kept:
    """A node in real numbers and in integers: the same operator, inputs and name."""

    node: Node
    quantized: QuantizedNode


def format_of(op: TFLiteOperator, tensor: Tensor) -> Format:
    """The format of a tensor that the operator reads or writes."""
    found = tensor.format()
    wide = found is not None and found.bits > 16 and op.kind != "QUANTIZE"
    if found is None or wide or not found.low <= found.zero_point <= found.high:
        kind = "is not quantized" if not tensor.quantized else f"is quantized as {tensor.dtype}, or by channel"
        raise op.error(f"{tensor.name[:60]!r} {kind}; only integers with one scale can be kept", WITHOUT)
    check_scales(op, tensor)
    return found


def of_bytes(op: TFLiteOperator) -> None:
    """Error if the operator reads or writes anything but 8-bit integers."""
    for tensor in (*op.tensors, *op.outputs):
        if tensor is not None and tensor.quantized and tensor.stored is None and tensor.dtype.itemsize > 1:
            raise op.error(f"{tensor.name[:60]!r} is quantized as {tensor.dtype}, for which it cannot be kept", WITHOUT)


def signed(op: TFLiteOperator) -> None:
    """Error if the operator reads integers without a sign, for which TFLite has no kernel of it."""
    if any(tensor is not None and tensor.quantized and tensor.dtype.kind == "u" for tensor in op.tensors):
        raise op.error("TFLite does not compute it of integers without a sign", "convert the network to int8")


def check_scales(op: TFLiteOperator, tensor: Tensor) -> None:
    """Error if single precision could not multiply and divide the tensor's scales."""
    for scale in (tensor.scales.min(), tensor.scales.max()) if tensor.quantized else ():
        if not _LEAST_SCALE <= scale <= 1 / _LEAST_SCALE:
            raise op.error(f"{tensor.name[:60]!r} has scale {scale:g}; 2^-40 to 2^40 can be kept", WITHOUT)


def formats(op: TFLiteOperator) -> tuple[list[Format], Format]:
    """Formats of the tensors, no constants, that it reads, and of its first output."""
    read = [tensor for tensor in op.tensors if tensor is not None and tensor.node]
    return [format_of(op, tensor) for tensor in read], format_of(op, op.outputs[0])


def bounds(op: TFLiteOperator) -> tuple[dict[str, float], dict[str, Array]]:
    """The fused activation: fields ``low`` and ``high`` of an operator, and constants ``low`` and ``high``."""
    if op.activation not in CLIPS:
        raise op.error(f"its fused activation {op.activation} cannot be kept", WITHOUT)
    low, high = CLIPS[op.activation]
    first, last = activation_range(op.activation, format_of(op, op.outputs[0]))
    return {"low": low, "high": high}, {"low": np.array(first), "high": np.array(last)}


def kept(
    op: TFLiteOperator,
    operator: Operator,
    constants: Mapping[str, Array],
    weights: Mapping[str, Array] | None = None,
) -> Kept:
    """The node that gives the operator's first output, in its format."""
    node = op.node(operator, weights)
    return Kept(node, quantized(node, constants, format_of(op, op.outputs[0])))


def quantized(node: Node, constants: Mapping[str, Array], output: Format) -> QuantizedNode:
    """The same node in integers."""
    return QuantizedNode(node.name, node.operator, node.inputs, output, constants)


def around(nodes: Sequence[Node], source: Format, middle: Kept) -> list[Kept]:
    """Nodes, of which one is the ``middle`` one and the others only move values, before it in the ``source``'s format."""
    position = [node.name for node in nodes].index(middle.node.name)
    before = [Kept(node, quantized(node, {}, source)) for node in nodes[:position]]
    return [
        *before,
        middle,
        *(Kept(node, quantized(node, {}, middle.quantized.format)) for node in nodes[position + 1 :]),
    ]


def moving(convert: Callable[[TFLiteOperator], list[Node]]) -> Callable[[TFLiteOperator], list[Kept]]:
    """What keeps an operator that only selects or moves values, which ``convert`` turns into nodes."""

    def keep(op: TFLiteOperator) -> list[Kept]:
        return _moved(op, convert(op))

    keep.__doc__ = f"{(convert.__doc__ or '').strip()} Between tensors of the same scale."
    return keep


def _moved(op: TFLiteOperator, nodes: Sequence[Node]) -> list[Kept]:
    output = format_of(op, op.outputs[0])
    tensors = [tensor for tensor in (*op.tensors, *op.outputs) if tensor is not None]
    if any(format_of(op, tensor) != output for tensor in tensors if tensor.node or tensor.quantized):
        raise op.error("its tensors have different scales, which cannot be kept", WITHOUT)
    result = []
    for node in nodes:
        if node.operator.clips and bounds(op)[1] != dict(
            zip(("low", "high"), scalar_clip(node.operator, output), strict=True)
        ):
            raise op.error(f"its fused activation {op.activation} cannot be kept", WITHOUT)
        shapes = [tensor.inner for tensor in op.tensors if tensor is not None and tensor.node]
        constants = node.operator.lower(node.weights, [output] * len(node.inputs), output, shapes)
        result.append(Kept(node, quantized(node, constants, output)))
    return result


def renamed(one: Kept, name: str, inputs: tuple[str, ...]) -> Kept:
    """The same under another name."""
    return Kept(replace(one.node, name=name, inputs=inputs), replace(one.quantized, name=name, inputs=inputs))
