"""How does a graph become smaller without computing anything else? Passes: graph to graph, each alone."""

from __future__ import annotations

from ggdq_mcu.graph import Graph
from ggdq_mcu.passes.batch_normalization import fold_batch_normalization
from ggdq_mcu.passes.clips import fuse_clips
from ggdq_mcu.passes.functions import recognize_functions
from ggdq_mcu.passes.identities import remove_dead_nodes, remove_identities
from ggdq_mcu.passes.saturation import saturate_before_functions
from ggdq_mcu.passes.scales import merge_scales
from ggdq_mcu.passes.windows import cut_kernels, dense_as_pointwise, whole_windows_as_dense
from ggdq_mcu.passes.zero_padding import fold_zero_padding

__all__ = [
    "cut_kernels",
    "dense_as_pointwise",
    "fold_batch_normalization",
    "fold_zero_padding",
    "fuse_clips",
    "merge_scales",
    "optimize",
    "recognize_functions",
    "remove_dead_nodes",
    "remove_identities",
    "saturate_before_functions",
    "whole_windows_as_dense",
]


def optimize(graph: Graph) -> Graph:
    """All passes, until none finds anything to do: the graph that calibration and quantization take.

    The float function stays the same. Each pass can make room for another: a normalisation becomes a convolution that
    can pad by itself, a clip that moves leaves padding next to a convolution. What a layer pads by itself lets a scale in
    front of it be folded.
    """
    while (smaller := _once(graph)) != graph:
        graph = smaller
    return graph


def _once(graph: Graph) -> Graph:
    for run in (
        recognize_functions,
        remove_identities,
        fold_zero_padding,
        merge_scales,
        fold_batch_normalization,
        fuse_clips,
        saturate_before_functions,
        cut_kernels,
        whole_windows_as_dense,
        dense_as_pointwise,
    ):
        graph = run(graph)
    return remove_dead_nodes(graph)
