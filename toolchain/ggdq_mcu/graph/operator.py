"""What must an operator know? Its shapes, its float meaning, its integer meaning, its cost and its kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.bounds import Bounds
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowPadding, RowWindow

if TYPE_CHECKING:
    from ggdq_mcu.graph.format import Format
    from ggdq_mcu.graph.layer import QuantizedLayer

Shape = tuple[int, ...]
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Base of all operators. ``low`` and ``high`` are the fused clip (ReLU: 0 and infinity; ReLU6: 0 and 6), in real units."""

    low: float = -math.inf
    high: float = math.inf

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    #: The same for operations of keras.ops, which a functional model may call beside its layers.
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    #: For TFLite's operators by their names in its schema, what turns them into nodes.
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    #: The same for those of quantized networks that keep TFLite's arithmetic: nodes in real numbers and in integers.
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    #: For operators of TFLite that read shapes and constants alone, what gives their value, kept arithmetic or not.
    tflite_constants: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    #: For operators of ONNX by their names, what turns them into nodes.
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    #: May a following ReLU, ReLU6 or clip be fused into this operator?
    fuses_clip: ClassVar[bool] = False
    #: Has the output the format of the (first) input, because values are only moved or selected?
    keeps_format: ClassVar[bool] = False
    #: May the inputs have channel steps? Otherwise they need one step a tensor.
    takes_channel_steps: ClassVar[bool] = False
    #: Is the input worth 16 bits, because it is small and its values are compared closely?
    reads_wide: ClassVar[bool] = False
    #: Are the outputs shares of 1, in a fixed format whose step may be any 1/n, n from 256 to 32768?
    gives_shares: ClassVar[bool] = False
    #: Does the portable kernel read element i of every input before it writes element i, in ascending order?
    is_elementwise: ClassVar[bool] = False
    #: Is the output the input's memory under another shape (no code at all)?
    is_view: ClassVar[bool] = False
    #: Is no output integer smaller where input integers are larger?
    is_monotone: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Name of the operator: of its module, its template and its test."""
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def gives_channel_steps(self) -> bool:
        """May the output have channel steps of its own choice, folded into the operator's constants?"""
        return False

    @property
    def keeps_profile(self) -> bool:
        """Must channel steps of the output be proportional to those of every input?"""
        return False

    @property
    def indices(self) -> int:
        """How many indices there are, where the input is one; else 0."""
        return 0

    #: Does it change the state of the last node that it reads, instead of one of its own?
    changes_state: ClassVar[bool] = False

    @property
    def keeps_state(self) -> bool:
        """Does an inference begin with what the last one left?"""
        return False

    @property
    def rectified(self) -> bool:
        """Is the output never negative?"""
        return self.low >= 0

    @property
    def clips(self) -> bool:
        """Is there a fused clip?"""
        return not (math.isinf(self.low) and math.isinf(self.high))

    def describe(self) -> str:
        """The operator and its parameters in a few words, for texts and comments."""
        clip = ""
        if self.low == 0:
            clip = ", ReLU" if math.isinf(self.high) else f", ReLU{self.high:g}"
        elif not (math.isinf(self.low) and math.isinf(self.high)):
            clip = f", clip {self.low:g}..{self.high:g}"
        return f"{type(self).__name__}{self._details()}{clip}"

    def _details(self) -> str:
        return ""

    def clip(self, value: Array) -> Array:
        """Apply the fused clip to real values."""
        if math.isinf(self.low) and math.isinf(self.high):
            return value
        return np.clip(value, self.low, self.high)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Output shape, without the batch axis; ValueError where the input shapes do not fit."""
        raise NotImplementedError

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        """Float meaning, batch first."""
        raise NotImplementedError

    def fixed_format(self, inputs: Sequence[Format], bits: int) -> Format | None:
        """The output format where the function itself determines it (softmax, sigmoid); None where it is calibrated."""
        return None

    def moved_format(self, inputs: Sequence[Format], shapes: Sequence[Shape]) -> Format | None:
        """The output format under which values move unchanged, where it may have channel steps that no other node shares."""
        return None

    def carry_step(self, step: Array, shapes: Sequence[Shape]) -> Array | None:
        """Channel steps of the output where those of the input are ``step``; None where they cannot be carried over."""
        return step

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        """Integer constants for given formats, from the float weights (rounding to nearest)."""
        return {}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        """Integer meaning, batch first: the specification. Of an operator that keeps state: after a reset."""
        return self.advance(inputs, constants, formats, output, None)[0]

    def advance(
        self,
        inputs: Sequence[Array],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        state: Any,
    ) -> tuple[Array, Any]:
        """``compute_integer`` of an operator that keeps state, from ``state``, or after a reset where it is None."""
        raise NotImplementedError

    def bounds(
        self,
        inputs: Sequence[Bounds],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        shapes: Sequence[Shape],
    ) -> Bounds:
        """Which integers the output can hold, where ``inputs`` says it of the inputs; the whole format where unknown."""
        if not self.is_monotone:
            return Bounds.of(output, self.output_shape(*shapes))
        low, high = (
            self.compute_integer(
                [np.asarray(value, f.dtype) for value, f in zip(ends, formats, strict=True)], constants, formats, output
            )
            for ends in zip(*inputs, strict=True)
        )
        return Bounds(low, high)

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...] | None:
        """For each input, which of its channels (C_out,) an output channel depends on, -1 for none.

        None where an output channel may depend on several channels of an input. A channel is a position of the last axis.
        """
        return None

    def with_channels(
        self, constants: Mapping[str, Array], inputs: Sequence[Array], output: Array, shapes: Sequence[Shape]
    ) -> tuple[Operator, Mapping[str, Array]]:
        """The operator and its integer constants for the channels ``inputs`` of each input and ``output`` alone (indices).

        Only for operators that have ``channel_sources``, and for linear ones. ``shapes`` are the inputs' with all channels.
        """
        return self, constants

    def macs(self, shapes: Sequence[Shape]) -> int:
        """Multiply-accumulates of one inference, for input shapes ``shapes``."""
        return 0

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        """Which rows along ``axis`` (-2, -3, ...) an output row reads, of every input that has them; ValueError: why not.

        Inputs with one row along the axis, or without it, are broadcast. The output has its rows along the same axis.
        ``constants`` are the integer ones.
        """
        if not self.is_elementwise:
            raise ValueError("a row of its output may depend on every row of its input")
        return RowWindow()

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        """What computes the output rows ``rows`` alone, from those that they read with ``padding`` before and after."""
        return self, constants

    def view_start(self, shapes: Sequence[Shape]) -> int:
        """The element of the input at which a view begins."""
        return 0

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        """The kernels in plain C that any core may use; ``ggdq_mcu.kernels`` has those for single cores."""
        overlaps = elementwise(layer) if self.is_elementwise else {}
        return [Kernel("portable", f"operators/{self.name}.c.j2", arrays=dict(layer.constants), overlaps=overlaps)]


def integer_clip(operator: Operator, output: Format) -> tuple[Array | int, Array | int]:
    """The fused clip in integers of the output format: bounds within the type's own; arrays where steps are per channel."""
    low: Array | int = output.low
    high: Array | int = output.high
    if not math.isinf(operator.low):
        low = np.clip(
            np.floor(operator.low / np.asarray(output.step) + 0.5) + output.zero_point, output.low, output.high
        )
    if not math.isinf(operator.high):
        high = np.clip(
            np.floor(operator.high / np.asarray(output.step) + 0.5) + output.zero_point, output.low, output.high
        )
    return _shrink(low), _shrink(high)


def scalar_clip(operator: Operator, output: Format) -> tuple[int, int]:
    """The fused clip in integers where one number each has to do for all channels."""
    low, high = integer_clip(operator, output)
    if not (isinstance(low, int) and isinstance(high, int)):
        raise GgdqError(f"{operator.describe()} needs one clip for all channels")
    return low, high


def _shrink(bound: Array | int) -> Array | int:
    """One integer where all channels agree."""
    values = np.asarray(bound, np.int64)
    return int(values.flat[0]) if np.all(values == values.flat[0]) else values
