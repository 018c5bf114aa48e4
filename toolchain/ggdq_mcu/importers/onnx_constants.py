"""Which values of an ONNX model are known before it runs? Shapes, and what follows from constants alone.

They are computed by ONNX's own reference implementation, node by node, of operators that are listed here and whose
results cannot be larger than what was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers.onnx_file import FileNode
from ggdq_mcu.operators.shared.onnx_quantized import QUANTIZERS
from ggdq_mcu.sources.keras import MAX_ELEMENTS
from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
#: Functions of one value or of two, which also mean something for tensors that depend on the network's input.
FUNCTIONS = frozenset(
    ("Abs", "Asinh", "Atan", "Celu", "Cos", "Sign", "Sin",
     "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Min", "Mish",
     "Pow", "Reciprocal", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sum", "Swish", "Tanh", "ThresholdedRelu")
)  # fmt: skip
FOLDED = FUNCTIONS | {
    "Add", "Cast", "Ceil", "Clip", "Concat", "Div", "Equal", "Flatten", "Floor", "Gather", "Identity", "Mod",
    "Mul", "Neg", "Not", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round",
    "Shape", "Size", "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where",
    "And", "ArgMax", "ArgMin", "CumSum", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Or", "Trilu", "Xor",
    "ConstantOfShape", "DequantizeLinear", "Expand", "Quant", "QuantizeLinear", "Range", "Tile",
}  # fmt: skip
_VALUES = ("value", "value_float", "value_floats", "value_int", "value_ints")  # of the node Constant


def folds(node: FileNode) -> bool:
    """May the node be computed before the network runs?"""
    return node.kind in FOLDED or node.kind == "Constant"


def known(node: FileNode, inputs: Sequence[Tensor | Array | None], opset: int) -> tuple[Array, ...] | None:
    """The values of a node's outputs where they do not depend on the network's input; None where they do."""
    if node.kind in ("Shape", "Size") and len(inputs) == 1 and isinstance(inputs[0], Tensor):
        shape = inputs[0].shape
        if node.kind == "Size":
            return (np.array(prod(shape), np.int64),)
        start, end = node.attributes.get("start", 0), node.attributes.get("end")
        if not isinstance(start, int) or not isinstance(end, int | None):
            raise _error(node, "start and end are not integers")
        return (np.array(shape[start:end], np.int64),)
    if node.kind == "Constant":
        return (_constant(node),)
    arrays = [value for value in inputs if not isinstance(value, Tensor)]
    if len(arrays) != len(inputs) or node.kind not in FOLDED:
        return None
    try:
        if _most_elements(node, arrays) > MAX_ELEMENTS:
            raise _error(node, f"makes more than {MAX_ELEMENTS} elements")
        if node.kind in QUANTIZERS:
            return (QUANTIZERS[node.kind](node.attributes, *(np.asarray(array) for array in arrays)),)
        with np.errstate(all="ignore"):  # what is not finite is refused where it is used
            return _computed(node, arrays, opset)
    except GgdqError:
        raise
    except Exception as error:  # whatever wrong types and shapes lead to in the reference implementation
        raise _error(node, f"cannot be computed ({type(error).__name__}: {str(error)[:100]})") from error


def _most_elements(node: FileNode, arrays: Sequence[Array | None]) -> int:
    """How many elements the output can have at most."""
    given = [array for array in arrays if array is not None]
    first, last = given[0], given[-1]
    if node.kind == "Range":
        start, stop, step = (float(array) for array in given)
        return int(abs((stop - start) / step)) + 1
    counted: dict[str, Callable[[], int]] = {
        "Concat": lambda: sum(array.size for array in given),
        "ConstantOfShape": lambda: prod(map(int, first.ravel())),
        "Expand": lambda: prod(np.broadcast_shapes(first.shape, tuple(map(int, last.ravel())))),
        "Gather": lambda: first.size * last.size,
        "Tile": lambda: first.size * prod(map(int, last.ravel())),
    }
    if node.kind in counted:
        return counted[node.kind]()
    # Axes that are broadcast: none is larger than in an input.
    rank = max(array.ndim for array in given)
    shapes = [(1,) * (rank - array.ndim) + array.shape for array in given]
    return prod(max(sizes) for sizes in zip(*shapes, strict=True))


def _constant(node: FileNode) -> Array:
    values = [node.attributes[key] for key in _VALUES if node.attributes.get(key) is not None]
    if len(values) != 1 or isinstance(values[0], str):
        raise _error(node, "holds no numbers")
    value = np.asarray(values[0])
    return value.astype(np.float32) if value.dtype == np.float64 and "value" not in node.attributes else value


def _computed(node: FileNode, arrays: Sequence[Array | None], opset: int) -> tuple[Array, ...]:
    """The node as a function of its own, run by the reference implementation."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in dict.fromkeys(node.inputs) if name]
    outputs = [name for name in node.outputs if name]
    function = helper.make_function("", "constants", names, outputs, [node.proto], [helper.make_opsetid("", opset)])
    feeds = {name: array for name, array in zip(node.inputs, arrays, strict=True) if name}
    values = dict(zip(outputs, ReferenceEvaluator(function).run(None, feeds, attributes={}), strict=True))
    results = tuple(np.asarray(values.get(name, 0)) for name in node.outputs)
    if any(result.dtype.kind not in "fiub" for result in results):
        raise _error(node, "does not make numbers")
    return results


def _error(node: FileNode, what: str) -> GgdqError:
    return GgdqError(what, f"node {node.name[:80]!r} ({node.kind})")
