"""What frameworks do with two tensors, element by element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from operators.cases import KerasCase, OnnxCase, Shape, onnx_node, onnx_nodes
from operators.cases._frameworks import ONNX_IMAGE, indices, number, random

_SHAPES = ([(4, 3, 2)] * 2, [(4, 3, 2), (1, 1, 2)], [(4, 3, 1), (1, 1, 2)])


def keras_joins(kind: str) -> Iterator[KerasCase]:
    """A merging layer of two tensors, broadcast or not, and of four where it takes them; a convolution reads it."""

    def case(shapes: list[Shape], again: bool) -> KerasCase:
        def make(keras: Any, *tensors: Any) -> Any:
            joined = getattr(keras.layers, kind)()([*tensors, *tensors][: 3 if again else 2])
            return keras.layers.Conv2D(2, 1)(joined)

        return KerasCase(f"{kind} of {shapes}{' and more' if again else ''}", tuple(shapes), make, followed=False)

    for shapes in _SHAPES:
        yield case(shapes, False)
    if kind != "Subtract":
        yield case(_SHAPES[0], True)


def onnx_pairs(kind: str) -> Iterator[OnnxCase]:
    """An operator of x and constants of several shapes, of a constant and x, and of two computed tensors."""
    constants = (
        (number(0.7), False),
        (random(3, 1, 1, low=0.5), False),
        (random(1, 3, 1, 1, low=0.5), False),
        (random(5, low=0.5), True),
        (random(6, 1, low=0.5), True),
    )
    for constant, moves in constants:
        yield onnx_node(ONNX_IMAGE, kind, constant, moves=moves)
    yield onnx_nodes(f"{kind} of a constant and x", ONNX_IMAGE, ["Exp x -> e", f"{kind} c e -> y"], c=random(3, 1, 1))
    yield onnx_nodes(f"{kind} of two", ONNX_IMAGE, ["Exp x -> e", f"{kind} x e -> y"])
    turned = ("Transpose e -> t", {"perm": [0, 1, 3, 2]})
    yield onnx_nodes(
        f"{kind} of two in different order", (1, 3, 5, 5), ["Exp x -> e", turned, f"{kind} x t -> y"], True
    )
    pooled = ["GlobalMaxPool x -> p", "Exp p -> g", f"{kind} x g -> y"]
    yield onnx_nodes(f"{kind} of an image and its channels", ONNX_IMAGE, pooled)
    without_batch = [random(3, 1, 1, low=0.5), random(4, 1, low=0.5), random(5, low=0.5), random(3, 4, 5, low=0.5)]
    for constant in [*without_batch, random(2, 1, 1, 1, low=0.5)]:
        yield onnx_node((3, 4, 5), kind, constant, moves=True)
    fewer = [("ReduceMax x a -> m", {"keepdims": 0}), "Exp m -> e", f"{kind} x e -> y"]
    yield onnx_nodes(f"{kind} of a tensor and one of fewer axes", (3, 4, 5), fewer, True, a=indices(0))
    column = [("Transpose x -> t", {"perm": [1, 0]}), "Exp t -> e", f"{kind} x e -> y"]
    yield onnx_nodes(f"{kind} of a row and a column", (1, 5), column, True)
