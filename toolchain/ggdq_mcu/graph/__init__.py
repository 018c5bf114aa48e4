"""What does a network look like between the stages? Graphs of nodes, in float and in integers."""

from ggdq_mcu.graph.format import Format
from ggdq_mcu.graph.graph import Graph, Node, Statistics
from ggdq_mcu.graph.quantized import QuantizedGraph, QuantizedNode

__all__ = ["Format", "Graph", "Node", "QuantizedGraph", "QuantizedNode", "Statistics"]
