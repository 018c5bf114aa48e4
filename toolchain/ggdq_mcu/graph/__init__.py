"""What does a network look like between the stages? Graphs of nodes, in float and in integers; operators; kernels."""

from ggdq_mcu.graph.format import Format
from ggdq_mcu.graph.graph import Graph, Node, Statistics
from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.graph.layer import QuantizedLayer
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.quantized import QuantizedGraph, QuantizedNode

__all__ = [
    "Format",
    "Graph",
    "Kernel",
    "Node",
    "Operator",
    "QuantizedGraph",
    "QuantizedLayer",
    "QuantizedNode",
    "Routine",
    "Statistics",
]
