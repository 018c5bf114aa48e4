"""How does an operator see the Keras layer that it is made from? Checked configuration, checked weights.

Nothing here trusts the file: every value is checked for type and range, every weight for its shape before it is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.window import Padding, Size, extent, same_padding
from ggdq_mcu.sources.keras_weights import stored_weights

Array = NDArray[Any]
MAX_ELEMENTS = 1 << 26  # of one tensor; far beyond any microcontroller, far below what would exhaust a computer
_MAX_INTEGER = 1 << 20
_REQUIRED = object()
Converter = TypeVar("Converter", bound=Callable[..., Any])
TENSOR = object()  # stands for a tensor among the arguments of an operation


def takes(*names: str) -> Callable[[Converter], Converter]:
    """Mark what turns a layer into nodes: the layer may be called with these arguments by name."""

    def marked(convert: Converter) -> Converter:
        vars(convert)["keywords"] = frozenset(names)
        return convert

    return marked


@dataclass(frozen=True)
class Outputs:
    """The nodes of a layer that has several outputs, and the names of those that hold them."""

    nodes: list[Node]
    names: list[str]


@dataclass(frozen=True, eq=False)
class KerasLayer:
    """One call of a Keras layer: what the model file says about it, and what it reads.

    ``name`` is the name of the node that gives the layer's output; ``inputs`` and ``shapes`` are the nodes that it
    reads and their shapes; ``stored`` are its weights in Keras' order, anything with ``shape`` that gives an array for
    ``[()]``; ``keras`` is the generation of Keras that saved it (2 or 3). An operation of keras.ops also has
    ``arguments``: TENSOR for each of ``inputs``, in their order, and constants; ``keywords`` are likewise what it is
    called with by name, whose tensors are the last of ``inputs``, for those names that its converter ``takes``.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    shapes: tuple[Shape, ...]
    stored: Sequence[Any]
    keras: int
    auxiliary: Callable[[str], str]
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def error(self, what: str, fix: str = "") -> GgdqError:
        """An error that names this layer."""
        return GgdqError(what, f"layer {self.name!r} ({self.class_name})", fix)

    @property
    def source(self) -> str:
        """Name of the one node that it reads."""
        if len(self.inputs) != 1:
            raise self.error(f"has {len(self.inputs)} inputs instead of one")
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """Shape of its one input."""
        self.source  # noqa: B018  one input only
        return self.shapes[0]

    @property
    def image(self) -> tuple[Size, int]:
        """Height and width, and channels, of its input."""
        if self.text("data_format", "channels_last") != "channels_last":
            raise self.error("data_format channels_first is not supported", "train or convert it with channels_last")
        if len(self.shape) != 3:
            raise self.error(f"its input {self.shape} is not an image (height, width, channels)")
        height, width, channels = self.shape
        return Size(height, width), channels

    def _value(self, key: str, default: Any) -> Any:
        value = self.config.get(key)
        if value is None:
            if default is _REQUIRED:
                raise self.error(f"its configuration lacks {key!r}")
            return default
        return value

    def integer(self, key: str, default: Any = _REQUIRED) -> int:
        """A positive integer of the configuration."""
        return self._integer(key, self._value(key, default), 1)

    def positive(self, what: str, value: Any) -> int:
        """``value`` as a positive integer; ``what`` names it in the error."""
        return self._integer(what, value, 1)

    def _integer(self, key: str, value: Any, least: int) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX_INTEGER:
            raise self.error(f"{key} = {_short(value)} is not an integer in {least}..{_MAX_INTEGER}")
        return value

    def number(self, key: str, default: Any = _REQUIRED) -> float:
        """A finite real number of the configuration (Keras 2 wraps some in a dictionary or list)."""
        value = self._value(key, default)
        if isinstance(value, dict):
            value = value.get("value")
        while isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f"{key} = {_short(value)} is not a finite number")
        return float(value)

    def channel_numbers(self, key: str, default: float) -> Array:
        """A finite number of the configuration, or a list of them; nested lists of one element count as it."""
        return self.constant(key, self._value(key, default))

    def two_arguments(self) -> tuple[Any, Any]:
        """The arguments of an operation on two, at least one of them a tensor: TENSOR or an array of numbers."""
        if len(self.arguments) != 2 or not self.inputs:
            raise self.error(f"has {len(self.arguments)} arguments instead of two")
        first, second = (one if one is TENSOR else self.constant("its argument", one) for one in self.arguments)
        return first, second

    def constant(self, key: str, value: Any) -> Array:
        """``value``, which ``key`` names in the error, as a finite number or a list of such."""
        numbers = np.squeeze(self.array(key, value))
        if numbers.ndim > 1:
            raise self.error(f"{key} = {_short(value)} is not a number, nor one for each channel")
        return numbers

    def array(self, key: str, value: Any) -> Array:
        """``value``, which ``key`` names in the error, as an array of finite numbers."""
        if isinstance(value, dict):
            config = value.get("config")
            known = value.get("class_name") == "__numpy__" and isinstance(config, dict)
            value = config.get("value") if known and isinstance(config, dict) else None
        try:
            numbers = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            numbers = np.array(np.nan)
        if numbers.size > MAX_ELEMENTS or not np.all(np.isfinite(numbers)):
            raise self.error(f"{key} = {_short(value)} is not a number, nor an array of finite numbers")
        return numbers

    def flag(self, key: str, default: bool) -> bool:
        """A truth value of the configuration; Keras 1 and 2 also save those that were given as 0 or 1."""
        value = self._value(key, default)
        if not isinstance(value, bool | int) or value not in (0, 1):
            raise self.error(f"{key} = {_short(value)} is neither true nor false")
        return bool(value)

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        """A text of the configuration."""
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self.error(f"{key} = {_short(value)} is not a text")
        return value

    def size(self, key: str, default: Any = _REQUIRED) -> Size:
        """A height and a width: two positive integers, or one for both."""
        value = self._value(key, default)
        pair = list(value) if isinstance(value, list | tuple) else [value, value]
        if len(pair) != 2:
            raise self.error(f"{key} = {_short(value)} is not a height and a width")
        return Size(*(self._integer(key, one, 1) for one in pair))

    def axis(self, key: str, rank: int, value: Any = None) -> int:
        """An axis of a tensor of ``rank`` axes beside the batch, which Keras counts as axis 0; here the first is 0.

        ``value`` is given where ``key`` has several.
        """
        value = self._value(key, -1) if value is None else value
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or not (1 <= value <= rank or -rank <= value <= -1):
            raise self.error(
                f"{key} = {_short(value)} is not an axis beside the batch", f"use 1..{rank} or -{rank}..-1"
            )
        return value - 1 if value > 0 else value + rank

    def integers(self, key: str, least: int) -> list[int]:
        """A list of integers, each at least ``least``."""
        value = self._value(key, _REQUIRED)
        if not isinstance(value, list | tuple):
            raise self.error(f"{key} = {_short(value)} is not a list of integers")
        return [self._integer(key, one, least) for one in value]

    def edges(self, key: str) -> Padding:
        """Padding as ZeroPadding2D gives it: one number, two, or ((top, bottom), (left, right))."""
        value = self._value(key, _REQUIRED)
        rows, columns = value if isinstance(value, list | tuple) and len(value) == 2 else (value, value)
        pairs = [list(side) if isinstance(side, list | tuple) else [side, side] for side in (rows, columns)]
        if any(len(pair) != 2 for pair in pairs):
            raise self.error(f"{key} = {_short(value)} is not a padding")
        return Padding(*(self._integer(key, one, 0) for pair in pairs for one in pair))

    def padding(self, kernel: Size, strides: Size, dilation: Size = Size(1, 1)) -> Padding:
        """Explicit padding for the layer's ``padding``, which is "same" or "valid"."""
        image, _ = self.image
        kind = self.text("padding", "valid").lower()
        if kind == "causal" and self.class_name.endswith("1D"):
            return Padding(left=extent(kernel, dilation).width - 1)
        if kind == "same":
            return same_padding(image, kernel, strides, dilation)
        if kind != "valid":
            raise self.error(f"padding {_short(kind)} is not supported", "use same, valid or ZeroPadding2D")
        return Padding()

    def take(self, **shapes: Shape) -> dict[str, Array]:
        """The layer's weights as float32, by name in Keras' order; they must have just these shapes and be finite."""
        weights = stored_weights(self)
        if len(weights) != len(shapes):
            names = ", ".join(shapes)
            raise self.error(f"the file has {len(weights)} weights for it instead of {len(shapes)} ({names})")
        return {
            name: self._read(name, stored, shape) for (name, shape), stored in zip(shapes.items(), weights, strict=True)
        }

    def _read(self, name: str, stored: Any, shape: Shape) -> Array:
        if tuple(stored.shape) != shape:
            raise self.error(f"{name} has shape {tuple(stored.shape)} in the file instead of {shape}")
        if math.prod(shape) > MAX_ELEMENTS:
            raise self.error(f"{name} of shape {shape} has more than {MAX_ELEMENTS} elements")
        if stored.dtype.kind not in "fiu":
            raise self.error(f"{name} is stored as {stored.dtype}, not as numbers")
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
            values = np.asarray(stored[()]).astype(np.float32)
        if not np.all(np.isfinite(values)):
            raise self.error(
                f"{name} holds NaN or infinite values", "train the network again, or check how it was saved"
            )
        return values

    def node(self, operator: Operator, weights: Mapping[str, Array] | None = None) -> Node:
        """The node that gives this layer's output."""
        return Node(self.name, operator, self.inputs, weights or {})


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
