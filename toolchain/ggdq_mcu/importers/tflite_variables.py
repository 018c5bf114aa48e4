"""How do a TFLite file's resource variables become state? Each has a node that gives its value, and one that changes it.

CALL_ONCE calls the graph that gives the variables their initial values; VAR_HANDLE names one, READ_VARIABLE and
ASSIGN_VARIABLE read and change it. A value that is read after a change in the same inference is the changed one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Node
from ggdq_mcu.importers.tflite_file import FileOperator, TFLiteFile
from ggdq_mcu.operators.recall import Recall
from ggdq_mcu.operators.store import Store
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


def _name(found: FileOperator) -> str:
    parts = [found.options(key) or b"" for key in ("Container", "SharedName")]
    return "/".join(str(part) for part in parts)
