"""The cases of each operator, one file each; nothing else lists operators.

A file ``NAME.py`` here has one variable, ``CASES``: the ``Cases`` of the operator in ``operators/NAME.py``. They feed the
tests of this folder (``test_integers.py``, ``test_c.py``, ``test_keras.py``, ``test_tflite.py``, ``test_onnx.py``), those
of the kernels and the random networks. Files whose names begin with "_" are shared by several operators.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.operator import Operator

Shape = tuple[int, ...]
Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer in integers: operator, shapes and formats of its inputs, its format and constants, two samples.

    ``weights`` are the real ones that the constants were made of; {} where the constants were drawn, or there are none.
    """

    operator: Operator
    shapes: tuple[Shape, ...]
    sources: tuple[Format, ...]
    output: Format
    constants: Weights
    samples: tuple[np.ndarray, ...]
    weights: Weights = field(default_factory=dict)

    def __repr__(self) -> str:
        formats = ", ".join(
            f"{form.short} z={form.zero_point} step={form.step}" for form in (*self.sources, self.output)
        )
        values = {name: value.tolist() for name, value in self.constants.items()}
        return f"{self.operator} on {self.shapes}, {formats}, {values}"

    def computed(self) -> np.ndarray:
        """What the integer reference gives for both samples."""
        return self.operator.compute_integer(self.samples, self.constants, list(self.sources), self.output)


@dataclass(frozen=True)
class Growth:
    """How the operator comes into random networks.

    ``make``: the operator and its weights for an input of the given shape. ``ranks``: of inputs that it takes. ``often``:
    how often it is drawn beside the others. ``joins``: may a tensor of the first shape be a further input beside one of
    the second? There are 1 to ``further`` of them.
    """

    make: Callable[[Callable[..., Any], np.random.Generator, Shape], tuple[Operator, Weights]]
    ranks: tuple[int, ...] = (1, 2, 3)
    often: int = 1
    joins: Callable[[Shape, Shape], bool] | None = None
    further: int = 1


@dataclass(frozen=True)
class KerasCase:
    """A part of a Keras network: from tensors with ``shapes``, without the batch axis, to one tensor or several."""

    name: str
    shapes: tuple[Shape, ...]
    make: Callable[..., Any]  # of the module keras and the tensors
    #: Are batch normalization and ReLU put behind it, as networks have them? They have to fold into it.
    followed: bool = True


@dataclass(frozen=True)
class TFLiteCase:
    """A part of a TensorFlow network, by way of its converter: from tensors with ``shapes``, the batch axis left out."""

    name: str
    shapes: tuple[Shape, ...]
    make: Callable[..., Any]  # of the module tensorflow and the tensors


@dataclass(frozen=True)
class OnnxCase:
    """Nodes (onnx.NodeProto) from "x", of ``shape`` with the batch axis, to "y", with their constants.

    ``moves``: may values have to move at run time, because they are wanted in another order than the stored one?
    """

    name: str
    shape: Shape
    nodes: Sequence[Any]
    constants: Weights = field(default_factory=dict)
    opset: int = 18
    moves: bool = False


@dataclass(frozen=True, kw_only=True)
class Cases:
    """All cases of one operator.

    ``layers`` draws layers in integers: formats of every kind, extreme weights and inputs, steps for each channel.
    ``check`` raises AssertionError where integers of a layer are not what the operator's definition says; it computes them
    in another way than the operator. Both are None for an operator that no integer network holds.
    """

    layers: st.SearchStrategy[Layer] | None = None
    check: Callable[[Layer, np.ndarray], None] | None = None
    growth: Growth | None = None
    keras: Sequence[KerasCase] = ()
    tflite: Sequence[TFLiteCase] = ()
    onnx: Sequence[OnnxCase] = ()
    #: The file of tests/ that tests the operator in integers and in C where ``layers`` cannot draw it alone.
    elsewhere: str = ""


@cache
def tables() -> Mapping[str, Cases]:
    """The cases of every operator by the name of its file."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}").CASES for name in names}


def with_layers() -> list[str]:
    """The operators that integer networks hold."""
    return [name for name, cases in tables().items() if cases.layers is not None]


def examples(name: str, count: int, number: int = 0) -> list[Layer]:
    """``count`` layers of an operator, the same ones for the same ``number``."""
    strategy = tables()[name].layers
    assert strategy is not None
    found: list[Layer] = []

    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(layer: Layer) -> None:
        found.append(layer)

    collect()
    return found[:count]


def keras_layer(shape: Shape, kind: str, *arguments: Any, **options: Any) -> KerasCase:
    """One of keras.layers with these arguments, on a tensor of that shape."""
    text = ", ".join(
        [f"{len(shape)} axes", *map(str, arguments), *(f"{key}={value}" for key, value in options.items())]
    )
    return KerasCase(f"{kind} {text}", (shape,), lambda keras, x: getattr(keras.layers, kind)(*arguments, **options)(x))


def keras_operation(name: str, shape: Shape, make: Callable[[Any, Any], Any]) -> KerasCase:
    """What ``make`` does with keras.ops and a tensor of that shape."""
    return KerasCase(f"ops: {name}", (shape,), lambda keras, x: make(keras.ops, x), followed=False)


def tflite_function(name: str, shape: Shape, make: Callable[[Any, Any], Any]) -> TFLiteCase:
    """What ``make`` does with TensorFlow and a tensor of that shape."""
    return TFLiteCase(name, (shape,), make)


def onnx_node(
    shape: Shape, kind: str, *constants: Any, opset: int = 18, moves: bool = False, **attributes: Any
) -> OnnxCase:
    """One node, which reads "x" and constants (None: left out)."""
    from onnx import helper

    arrays = {f"c{index}": value for index, value in enumerate(constants) if value is not None}
    inputs = ["x", *(f"c{index}" if value is not None else "" for index, value in enumerate(constants))]
    sizes = [str(list(np.shape(value))) for value in constants]
    text = ", ".join([f"{len(shape)} axes", *sizes, *(f"{key}={value}" for key, value in attributes.items())])
    return OnnxCase(
        f"{kind} {text}", shape, [helper.make_node(kind, inputs, ["y"], **attributes)], arrays, opset, moves
    )


def onnx_nodes(
    name: str,
    shape: Shape,
    nodes: Sequence[str | tuple[str, Mapping[str, Any]]],
    moves: bool = False,
    opset: int = 18,
    **constants: np.ndarray,
) -> OnnxCase:
    """Several nodes, each as "KIND inputs -> outputs", names separated by blanks ("-": none), or that and attributes."""
    from onnx import helper

    made = []
    for node in nodes:
        text, attributes = (node, {}) if isinstance(node, str) else node
        before, _, after = text.partition("->")
        kind, *inputs = ["" if name == "-" else name for name in before.split()]
        made.append(helper.make_node(kind, inputs, after.split(), **attributes))
    return OnnxCase(name, shape, made, constants, opset, moves)
