"""How do a TFLite file's resource variables become state? Each has a node that gives its value, and one that changes it.

CALL_ONCE calls the graph that gives the variables their initial values; VAR_HANDLE names one, READ_VARIABLE and
ASSIGN_VARIABLE read and change it. A value that is read after a change in the same inference is the changed one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Node
from ggdq_mcu.importers.tflite_file import FileOperator, TFLiteFile
from ggdq_mcu.operators.recall import Recall
from ggdq_mcu.operators.store import Store
from ggdq_mcu.operators.tflite_activation import THROUGH_REAL
from ggdq_mcu.sources.tflite import Tensor, TFLiteOperator

KINDS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


@dataclass
class _Variable:
    """A variable: its initial value; what it holds now, where that was assigned; the node that recalls it, if any does."""

    initial: Tensor | None = None
    now: Tensor | None = None
    recall: Tensor | None = None


class Variables:
    """The variables of a file, while its operators are gone through; ``add`` adds a node to the network."""

    def __init__(self, file: TFLiteFile, add: Callable[[Node, Tensor], None]) -> None:
        self.file, self.add = file, add
        self.handles: dict[int, str] = {}
        self.known: dict[str, _Variable] = {}

    def step(self, op: TFLiteOperator, found: FileOperator, first: str) -> Tensor | None:
        """Follow one operator; gives the tensor that it reads out of a variable. ``first``: some node before it."""
        if op.kind == "CALL_ONCE":
            self._initialize(op)
            return None
        if op.kind == "VAR_HANDLE":
            self.handles[found.outputs[0]] = _name(found)
            return None
        variable = self._of(op, found)
        if op.kind == "ASSIGN_VARIABLE":
            self._assign(op, variable, op.tensor(1))
            return None
        return variable.now or self._recalled(op, variable, first)

    def _of(self, op: TFLiteOperator, found: FileOperator) -> _Variable:
        name = self.handles.get(found.inputs[0] if found.inputs else -1)
        if name is None:
            raise op.error("reads no variable")
        return self.known.setdefault(name, _Variable())

    def _recalled(self, op: TFLiteOperator, variable: _Variable, first: str) -> Tensor:
        if variable.recall is None:
            output = op.outputs[0]
            initial = variable.initial
            if initial is None or initial.stored is None:
                raise op.error("reads a variable that nothing gave an initial value")
            if initial.stored.size != int(np.prod(output.shape)):
                raise op.error(f"reads {output.shape} from a variable of {initial.shape}")
            stored = initial.stored.reshape(output.shape)
            made = replace(output, node=op.name, stored=stored)
            real = replace(op, tensors=(made,)).constant(0)
            self.add(Node(op.name, Recall(output.inner), (first,), {"initial": real.reshape(output.inner)}), made)
            variable.recall = replace(made, stored=None)
        return variable.recall

    def _assign(self, op: TFLiteOperator, variable: _Variable, value: Tensor) -> None:
        variable.now = value
        if variable.recall is None:
            return
        if not value.node:
            raise op.error("assigns a constant")
        name = op.unique(f"{variable.recall.node}_next")
        self.add(Node(name, Store(), (value.node, variable.recall.node)), value)

    def _initialize(self, op: TFLiteOperator) -> None:
        number = op.integer("InitSubgraphIndex", 0, 0)
        if number >= len(self.file.subgraphs):
            raise op.error(f"calls graph {number} of {len(self.file.subgraphs)}")
        graph, handles = self.file.subgraphs[number], dict[int, str]()
        for one in graph.operators:
            if one.kind == "VAR_HANDLE" and one.outputs:
                handles[one.outputs[0]] = _name(one)
            elif one.kind == "ASSIGN_VARIABLE" and len(one.inputs) == 2 and one.inputs[0] in handles:
                self.known.setdefault(handles[one.inputs[0]], _Variable()).initial = graph.tensors[one.inputs[1]]
            else:
                raise GgdqError(
                    f"{one.kind[:60]} in the graph of initial values is not supported",
                    f"layer {op.name!r} ({op.kind})",
                    "give variables constant initial values",
                )


def with_integer_variables(file: TFLiteFile) -> TFLiteFile:
    """The file with variables of integers where real ones are assigned after DEQUANTIZE and read before QUANTIZE alone."""
    handles = {one.outputs[0]: _name(one) for one in file.operators if one.kind == "VAR_HANDLE" and one.outputs}
    makers = {index: one for one in file.operators for index in one.outputs}
    tensors, replaced_by = list(file.tensors), dict[int, FileOperator]()
    changed = dict[str, Tensor]()
    for name in dict.fromkeys(handles.values()):
        uses = [one for one in file.operators if one.inputs and handles.get(one.inputs[0]) == name]
        stores = [one for one in uses if one.kind == "ASSIGN_VARIABLE" and len(one.inputs) == 2]
        loads = [one for one in uses if one.kind == "READ_VARIABLE" and one.outputs]
        made = [makers.get(one.inputs[1]) for one in stores]
        sources = [file.tensors[one.inputs[0]] for one in made if one is not None and one.kind == "DEQUANTIZE"]
        readers = [one for load in loads for one in file.operators if load.outputs[0] in one.inputs]
        if (
            not sources
            or len(sources) != len(stores)
            or any(one.format() is None or one.format() != sources[0].format() for one in sources)
            or any(one.kind != "QUANTIZE" for one in readers)
            or any(load.outputs[0] in file.outputs for load in loads)
        ):
            continue
        changed[name] = sources[0]
        for store, maker in zip(stores, made, strict=True):
            assert maker is not None
            replaced_by[id(store)] = replace(store, inputs=(store.inputs[0], maker.inputs[0]))
        for load in loads:
            tensors[load.outputs[0]] = _in_integers(tensors[load.outputs[0]], sources[0])
        for one in readers:
            replaced_by[id(one)] = replace(one, options=lambda key: True if key == THROUGH_REAL else None)
    operators = tuple(replaced_by.get(id(one), one) for one in file.operators)
    subgraphs = tuple(_with_integers(graph, changed) for graph in file.subgraphs)
    return replace(file, tensors=tuple(tensors), operators=operators, subgraphs=subgraphs)


def _with_integers(graph: TFLiteFile, changed: Mapping[str, Tensor]) -> TFLiteFile:
    """A graph of initial values, those of the ``changed`` variables as integers."""
    tensors, handles = list(graph.tensors), dict[int, str]()
    for one in graph.operators:
        if one.kind == "VAR_HANDLE" and one.outputs:
            handles[one.outputs[0]] = _name(one)
        elif one.kind == "ASSIGN_VARIABLE" and len(one.inputs) == 2 and handles.get(one.inputs[0]) in changed:
            like = changed[handles[one.inputs[0]]]
            tensors[one.inputs[1]] = _in_integers(tensors[one.inputs[1]], like)
    return replace(graph, tensors=tuple(tensors))


def _in_integers(tensor: Tensor, like: Tensor) -> Tensor:
    """A tensor of real numbers as integers of the scale and type of another."""
    form = like.format()
    assert form is not None
    stored = None
    if tensor.stored is not None and not tensor.quantized:
        stored = form.quantize(tensor.stored)
        if not np.array_equal(form.dequantize(stored).astype(np.float32), tensor.stored):
            raise GgdqError(
                f"has initial values that are none of its integers of scale {form.step:g}",
                f"variable {tensor.name[:80]!r}",
                "build it without --keep-quantization",
            )
    return replace(tensor, stored=stored, dtype=like.dtype, scales=like.scales, zero_points=like.zero_points, axis=0)


def _name(found: FileOperator) -> str:
    parts = [found.options(key) or b"" for key in ("Container", "SharedName")]
    return "/".join(str(part) for part in parts)
