"""What do TFLite's operators on two tensors share? Shapes that are broadcast, and an operand that may be a constant.

Constants: ``zero_points`` (2,) of both operands, ``constant`` (integers) where the second is one, ``low`` and ``high``, and
those of the operator; its float weight is ``constant``, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.graph.strides import aligned, broadcast_loops, broadcast_shape
from ggdq_mcu.sources.tflite import Tensor, TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_arithmetic import SCALED
from ggdq_mcu.sources.tflite_kept import Kept, bounds, format_of, kept

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]


class TFLiteOperands(Operator):
    """Base of the operators on two tensors, or a tensor and a constant."""

    #: Instructions of the portable kernel for an element.
    cost = 60

    def output_shape(self, *shapes: Shape) -> Shape:
        return broadcast_shape(shapes)

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        shape = constants["constant"].shape if "constant" in constants else ()
        if len(shape) >= -axis and shape[axis] > 1:
            raise ValueError("its constant has values for each row")
        return RowWindow()

    def both(self, inputs: Sequence[Array], constants: Mapping[str, Array]) -> list[Array]:
        """Both operands, batch first."""
        return aligned([*inputs, constants["constant"][None]] if "constant" in constants else inputs)

    def centred(self, inputs: Sequence[Array], constants: Mapping[str, Array]) -> list[Array]:
        """Both operands in integers without their zero points."""
        operands = self.both(inputs, constants)
        return [q.astype(np.int64) - z for q, z in zip(operands, constants["zero_points"], strict=True)]

    def limited(self, q: Array, constants: Mapping[str, Array], output: Format) -> Array:
        """Integers with the zero point, clipped."""
        result: Array = np.clip(q + output.zero_point, int(constants["low"]), int(constants["high"])).astype(
            output.dtype
        )
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        shape, constants = layer.shape, layer.constants
        operands = list(layer.shapes)
        arrays: dict[str, Array] = {}
        names = ["in"] if "constant" in constants else ["in_0", "in_1"]
        if "constant" in constants:
            arrays["constant"] = constants["constant"]
            operands, names = [*operands, constants["constant"].shape], [*names, "constant"]
        parameters = {key: value.tolist() for key, value in constants.items() if key != "constant"}
        parameters |= {"loops": broadcast_loops(operands, shape), "names": names}
        cost, overlaps = self.cost * prod(shape), elementwise(layer)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, arrays, 0, cost, (SCALED,), overlaps)]


def steps(op: TFLiteOperator) -> tuple[list[np.floating[Any]], np.floating[Any]]:
    """Steps of both operands and of the output, in the precision in which TFLite's kernel multiplies them."""
    precision = np.float64 if op.micro else np.float32
    scales = [precision(format_of(op, op.tensor(position)).step) for position in (0, 1)]
    return scales, precision(format_of(op, op.outputs[0]).step)


def keep(op: TFLiteOperator, make: Any, own: Mapping[str, Array], swapped: bool = False) -> list[Kept]:
    """The operator that ``make`` gives for the fields of the clip; ``swapped``: its first operand is the constant."""
    order = (1, 0) if swapped else (0, 1)
    fields, constants = bounds(op)
    points = np.array([format_of(op, op.tensor(position)).zero_point for position in order])
    constants |= {"zero_points": points, **own}
    weights = {}
    second: Tensor = op.tensor(order[1])
    if second.stored is not None:
        shape = without_batch(second.shape)
        constants["constant"] = second.stored.reshape(shape)
        weights["constant"] = op.constant(order[1]).reshape(shape)
    return [kept(op, make(**fields), constants, weights)]
