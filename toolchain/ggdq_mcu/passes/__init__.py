"""How does a graph become smaller without computing anything else? Passes: graph to graph, each alone."""

from __future__ import annotations

from ggdq_mcu.graph import Graph
from ggdq_mcu.passes.batch_normalization import fold_batch_normalization
from ggdq_mcu.passes.clips import fuse_clips
from ggdq_mcu.passes.identities import remove_dead_nodes, remove_identities
from ggdq_mcu.passes.zero_padding import fold_zero_padding

__all__ = [
    "fold_batch_normalization",
    "fold_zero_padding",
    "fuse_clips",
    "optimize",
    "remove_dead_nodes",
    "remove_identities",
]


def optimize(graph: Graph) -> Graph:
    """All passes, until none finds anything to do: the graph that calibration and quantization take.

    The float function stays the same. Each pass can make room for another: a normalisation becomes a convolution that
    can pad by itself, a clip that moves leaves padding next to a convolution.
    """
    while (smaller := _once(graph)) != graph:
        graph = smaller
    return graph


def _once(graph: Graph) -> Graph:
    for run in (remove_identities, fold_batch_normalization, fold_zero_padding, fuse_clips):
        graph = run(graph)
    return remove_dead_nodes(graph)
