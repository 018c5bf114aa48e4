"""How does an operator see the TFLite operator that it is made from? Checked options, checked constants, no batch.

Nothing here trusts the file: every option is checked for type and range, every constant for its shape. TFLite's tensors
have the batch as their first axis, of size 1; here it is left out, wherever it is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.window import Padding, Size, same_padding

Array = NDArray[Any]
_MAX_INTEGER = 1 << 20
SAME, VALID = 0, 1  # how the schema numbers paddings
#: Fused activations by their numbers in the schema.
_ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
#: The clip that an activation is, fused or as an operator.
CLIPS: Mapping[str, tuple[float, float]] = {
    "NONE": (-math.inf, math.inf),
    "RELU": (0.0, math.inf),
    "RELU_0_TO_1": (0.0, 1.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
}


class Origin(Protocol):
    """What a function needs of a layer or operator, of whatever format, to make nodes of it."""

    @property
    def name(self) -> str:
        """Name of the node that gives the output."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The nodes that it reads."""

    @property
    def shape(self) -> Shape:
        """Shape of its one input."""

    @property
    def source(self) -> str:
        """Name of the one node that it reads."""

    def auxiliary(self, suffix: str, /) -> str:
        """A name that no other node has."""

    def error(self, what: str, fix: str = "") -> GgdqError:
        """An error that names it."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the file. ``node`` holds its value, or it is a constant, ``stored`` as the file has it.

    ``scales`` and ``zero_points`` (1,) or (size of axis ``axis``,): real value = scale * (stored - zero point); none where
    the tensor is not quantized. Where it is not ``fixed``, the file knows the number of axes and not their sizes. A
    ``variable`` one keeps its value from one inference to the next.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    scales: Array
    zero_points: Array
    axis: int = 0
    node: str = ""
    stored: Array | None = None
    fixed: bool = True
    variable: bool = False

    @property
    def batched(self) -> bool:
        """Has it a first axis of size 1?"""
        return self.shape[:1] == (1,)

    @property
    def inner(self) -> Shape:
        """The shape without the batch."""
        return without_batch(self.shape)

    @property
    def quantized(self) -> bool:
        """Does it stand for real numbers by integers?"""
        return bool(self.scales.size) and self.dtype.kind in "iu"

    def format(self) -> Format | None:
        """The format of integers of 8 to 32 bits with one step for the tensor, or of truth values; None for anything else."""
        if self.dtype.kind == "b":
            return Format(8, False, 1.0)
        if not self.quantized or self.scales.size != 1 or self.dtype.itemsize > 4:
            return None
        bits = 8 * self.dtype.itemsize
        return Format(bits, self.dtype.kind == "i", float(self.scales[0]), int(self.zero_points[0]))

    def by_axis(self, values: Array) -> Array:
        """Scales or zero points in a shape that broadcasts to the tensor's."""
        if values.size == 1:
            return values.reshape(())
        return values.reshape([-1 if axis == self.axis else 1 for axis in range(len(self.shape))])


def without_batch(shape: Shape) -> Shape:
    """A shape without its first axis, where that has size 1 and is not the only one."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


@dataclass(frozen=True, eq=False)
class TFLiteOperator:
    """One operator of the file: its kind (CONV_2D), the names of the nodes that give its outputs, and what it reads.

    ``tensors`` are its inputs, None where an optional one is left out; ``outputs`` its outputs. ``options`` gives an option
    by its name in the schema, None where the file has none. Kept arithmetic is that of TensorFlow Lite Micro where ``micro``,
    else that of the reference kernels of TensorFlow Lite for desktops.
    """

    kind: str
    names: tuple[str, ...]
    tensors: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Callable[[str], Any]
    unique: Callable[[str], str]
    micro: bool = True

    @property
    def name(self) -> str:
        """Name of the node that gives the first output."""
        return self.names[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The nodes that it reads."""
        return tuple(tensor.node for tensor in self.tensors if tensor is not None and tensor.node)

    @property
    def source(self) -> str:
        """Name of the one node that it reads."""
        if len(self.inputs) != 1:
            raise self.error(f"reads {len(self.inputs)} tensors that are no constants instead of one")
        return self.inputs[0]

    @property
    def data(self) -> Tensor:
        """The one tensor that it reads and that is no constant."""
        self.source  # noqa: B018  one only
        return next(tensor for tensor in self.tensors if tensor is not None and tensor.node)

    @property
    def shape(self) -> Shape:
        """Shape of its one input, without the batch."""
        return self.data.inner

    @property
    def image(self) -> tuple[Size, int]:
        """Height and width, and channels, of its input."""
        tensor = self.data
        if len(tensor.shape) != 4 or not tensor.batched:
            fix = "convert the network for a batch of 1" if len(tensor.shape) == 4 else ""
            raise self.error(f"its input {tensor.shape} is not one image (1, height, width, channels)", fix)
        return Size(*tensor.shape[1:3]), tensor.shape[3]

    def auxiliary(self, suffix: str) -> str:
        """A name for a node that helps, which no other node has."""
        return self.unique(f"{self.name}_{suffix}")

    def error(self, what: str, fix: str = "") -> GgdqError:
        """An error that names this operator."""
        return GgdqError(what, f"layer {self.name!r} ({self.kind})", fix)

    def integer(self, key: str, default: int | None = None, least: int = 1) -> int:
        """An integer option."""
        value = self.options(key)
        value = default if value is None else value
        if type(value) is not int or not least <= value <= _MAX_INTEGER:
            raise self.error(f"{key} = {value!r} is not an integer in {least}..{_MAX_INTEGER}")
        return value

    def number(self, key: str, default: float) -> float:
        """A finite real option."""
        value = self.options(key)
        value = default if value is None else value
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f"{key} = {value!r} is not a finite number")
        return float(value)

    def flag(self, key: str) -> bool:
        """An option that is set or not."""
        return bool(self.options(key))

    def several(self, key: str) -> list[int]:
        """An option that is a list of integers."""
        values = self.options(f"{key}AsNumpy")
        return [int(value) for value in np.ravel(values)[:64]] if np.ndim(values) else []

    def size(self, height: str, width: str, default: int | None = None) -> Size:
        """Two options that are a height and a width."""
        return Size(self.integer(height, default), self.integer(width, default))

    def padding(self, kernel: Size, strides: Size, dilation: Size = Size(1, 1)) -> Padding:
        """Explicit padding for the option that says same or valid."""
        kind = self.integer("Padding", SAME, 0)
        if kind not in (SAME, VALID):
            raise self.error(f"padding {kind} is neither SAME nor VALID")
        return same_padding(self.image[0], kernel, strides, dilation) if kind == SAME else Padding()

    @property
    def activation(self) -> str:
        """Name of the fused activation."""
        number = self.integer("FusedActivationFunction", 0, 0)
        if number >= len(_ACTIVATIONS):
            raise self.error(f"activation {number} is not known")
        return _ACTIVATIONS[number]

    def has(self, position: int) -> bool:
        """Is the input there?"""
        return position < len(self.tensors) and self.tensors[position] is not None

    def tensor(self, position: int) -> Tensor:
        """An input that has to be there."""
        found = self.tensors[position] if position < len(self.tensors) else None
        if found is None:
            raise self.error(f"has no input {position}")
        return found

    def is_constant(self, position: int) -> bool:
        """Is the input a constant?"""
        return self.tensor(position).stored is not None

    def raw(self, position: int) -> Array:
        """A constant input as the file has it."""
        stored = self.tensor(position).stored
        if stored is None:
            raise self.error(
                f"its input {position} is no constant", "convert the network with constant weights and fixed shapes"
            )
        return stored

    def constant(self, position: int) -> Array:
        """A constant input in real numbers, float32; it must be finite."""
        tensor, stored = self.tensor(position), self.raw(position)
        if tensor.quantized:
            centred = stored.astype(np.float64) - tensor.by_axis(tensor.zero_points)
            with np.errstate(over="ignore"):  # refused below
                real = (centred * tensor.by_axis(tensor.scales)).astype(np.float32)
        elif stored.dtype.kind == "f" or (stored.dtype.kind in "iub" and self._counts()):
            real = stored.astype(np.float32)
        else:
            raise self.error(f"its input {position} has type {stored.dtype} and no scale, where real numbers belong")
        if not np.all(np.isfinite(real)):
            raise self.error(f"its input {position} holds NaN or infinite values")
        return real

    def _counts(self) -> bool:
        """Does it read computed integers without a scale, or truth values?"""
        computed = [tensor for tensor in self.tensors if tensor is not None and tensor.node]
        return any(tensor.dtype.kind in "iub" and not tensor.quantized for tensor in computed)

    def bias(self, channels: int, position: int = 2) -> dict[str, Array]:
        """The constant input that is a bias, where there is one."""
        if not self.has(position):
            return {}
        bias = self.constant(position)
        if bias.size != channels:
            raise self.error(f"a bias of shape {bias.shape} does not fit {channels} channels")
        return {"bias": bias.reshape(channels)}

    def integers(self, position: int) -> list[int]:
        """A constant input that is a few integers."""
        stored = self.raw(position)
        if stored.dtype.kind != "i" or stored.size > 64:
            raise self.error(
                f"its input {position} of type {stored.dtype} and shape {stored.shape} is no list of integers"
            )
        return [int(value) for value in stored.ravel()]

    def axis(self, value: int, more: int = 0) -> int:
        """An axis of the input, the batch counted as the file does; ``more`` axes than the input's may be named."""
        rank = len(self.data.shape) + more
        if not -rank <= value < rank:
            raise self.error(f"axis {value} is not an axis of {self.data.shape}")
        return value % rank

    def node(self, operator: Operator, weights: Mapping[str, Array] | None = None) -> Node:
        """The node that gives the first output."""
        return Node(self.name, operator, self.inputs, weights or {})

    def chain(self, steps: Sequence[tuple[str, Operator]], source: str = "") -> list[Node]:
        """Nodes one behind the other: each has a suffix of its own but the last, which gives the output."""
        nodes: list[Node] = []
        for position, (suffix, operator) in enumerate(steps, 1):
            name = self.name if position == len(steps) else self.auxiliary(suffix)
            nodes.append(Node(name, operator, (nodes[-1].name if nodes else source or self.source,)))
        return nodes
