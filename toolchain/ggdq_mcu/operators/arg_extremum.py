"""Position of the largest or smallest value along an axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.operators.affine import affine_tensor
from ggdq_mcu.operators.gather import onnx_along
from ggdq_mcu.operators.shared.pool import onnx_reduced, reduction_of_tflite
from ggdq_mcu.sources.onnx import Attributes
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import Kept, around, format_of, quantized

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_MOST = 1 << 15  # positions that 16 bits tell


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """ARG_MAX and ARG_MIN along one constant axis; the first position where several are equal."""
    axes = op.integers(1)
    if len(axes) != 1 or op.data.shape[op.axis(axes[0])] > _MOST:
        raise op.error(f"axes {axes} of {op.data.shape} are not one axis of at most {_MOST} positions")
    return reduction_of_tflite(op, lambda size, _: ArgExtremum(size.width, op.kind == "ARG_MIN"))


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """ARG_MAX and ARG_MIN along one constant axis."""
    source = format_of(op, op.data)
    nodes = from_tflite(op)
    middle = next(node for node in nodes if isinstance(node.operator, ArgExtremum))
    output = middle.operator.fixed_format([source], 8)
    assert output is not None
    return around(nodes, source, Kept(middle, quantized(middle, {}, output)))


def from_onnx(op: OnnxOperator) -> Tensor:
    """ArgMax and ArgMin along one axis; the first position where several are equal, or the last."""
    tensor = op.tensor()
    axis, keeps = op.axis(op.integer("axis", 0), len(tensor.shape)), op.integer("keepdims", 1)
    size, last = tensor.shape[axis], op.integer("select_last_index", 0)
    if size > _MOST:
        raise op.error(f"an axis of {size} positions is not supported; at most {_MOST}")
    if last:
        tensor = onnx_along(op, tensor, axis, np.arange(size)[::-1])
    along = replace(op, inputs=(tensor,), attributes=Attributes({"axes": [axis], "keepdims": keeps}))
    found = onnx_reduced(along, lambda window, _: ArgExtremum(window.width, op.kind == "ArgMin"))
    return affine_tensor(op, found, -1.0, float(size - 1)) if last else found


@dataclass(frozen=True)
class ArgExtremum(Operator):
    """Position of the largest value, or of the ``smallest``, among ``count`` in each column: (rows, count, C) -> (rows, 1, C).

    The first one where several are equal. The output's integers are the positions: step 1, zero point 0.
    """

    count: int
    smallest: bool = False

    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"ARG_MAX": from_tflite, "ARG_MIN": from_tflite}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"ARG_MAX": keep_tflite, "ARG_MIN": keep_tflite}

    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"ArgMax": from_onnx, "ArgMin": from_onnx}

    @property
    def rectified(self) -> bool:
        return True

    def _details(self) -> str:
        return f" {'smallest' if self.smallest else 'largest'} of {self.count}"

    def output_shape(self, *shapes: Shape) -> Shape:
        rows, count, channels = shapes[0]
        if count != self.count:
            raise ValueError(f"{count} positions instead of {self.count}")
        return (rows, 1, channels)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        places = (np.argmin if self.smallest else np.argmax)(inputs[0], axis=2)
        return np.asarray(places[:, :, None].astype(np.result_type(inputs[0], np.float32)))

    def fixed_format(self, inputs: Sequence[Format], bits: int) -> Format:
        kind = type(inputs[0])
        return kind(16, True, 1.0) if bits > 8 or self.count > 256 else kind(8, False, 1.0)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return self.compute(inputs, {}).astype(output.dtype)

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        cost = int(np.prod(layer.shape)) * (12 + 7.0 * self.count)
        return [Kernel("portable", f"operators/{self.name}.c.j2", instructions=cost)]
