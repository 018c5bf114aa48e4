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
    """All passes in order: the graph that calibration and quantization take. The float function stays the same."""
    # Padding comes after normalisation, since a normalisation may become a convolution that can pad by itself.
    passes = (remove_identities, fold_batch_normalization, fold_zero_padding, fuse_clips, remove_identities)
    for run in passes:
        graph = run(graph)
    return remove_dead_nodes(graph)
