"""Every pass alone, and all together, keep what a network computes, and do what they are for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from random_graphs import assert_same_function, graphs

from effort import drawn
from ggdq_mcu.graph import Graph
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.passes import (
    cut_kernels,
    dense_as_pointwise,
    fold_batch_normalization,
    fold_zero_padding,
    fuse_clips,
    merge_scales,
    optimize,
    recognize_functions,
    remove_dead_nodes,
    remove_identities,
    saturate_before_functions,
    whole_windows_as_dense,
)

PASSES = (
    remove_identities,
    remove_dead_nodes,
    fold_zero_padding,
    merge_scales,
    fold_batch_normalization,
    fuse_clips,
    saturate_before_functions,
    recognize_functions,
    cut_kernels,
    whole_windows_as_dense,
    dense_as_pointwise,
    optimize,
)


@pytest.mark.parametrize("run", PASSES)
def test_float_function_stays(run: Callable[[Graph], Graph]) -> None:
    @settings(max_examples=drawn(150), deadline=None)
    @given(graphs())
    def check(graph: Graph) -> None:
        assert_same_function(graph, run(graph))

    check()


@settings(max_examples=drawn(150), deadline=None)
@given(graphs())
def test_optimized_graph_has_no_affine_maps_and_nothing_dead(graph: Graph) -> None:
    optimized = optimize(graph)
    assert not any(isinstance(node.operator, BatchNormalization | Affine) for node in optimized.nodes)
    assert remove_dead_nodes(optimized) == optimized


@settings(max_examples=drawn(150), deadline=None)
@given(graphs())
def test_optimizing_twice_is_optimizing_once(graph: Graph) -> None:
    optimized = optimize(graph)
    assert optimize(optimized) == optimized


@settings(max_examples=drawn(150), deadline=None)
@given(graphs())
def test_names_stay_unique_and_in_topological_order(graph: Graph) -> None:
    optimized = optimize(graph)
    seen: set[str] = set()
    for node in optimized.nodes:
        assert node.name not in seen
        assert set(node.inputs) <= seen
        seen.add(node.name)
    assert set(optimized.outputs) <= seen


@settings(max_examples=drawn(150), deadline=None)
@given(graphs())
def test_clip_stays_only_where_its_source_is_read_unclipped_or_cannot_clip(graph: Graph) -> None:
    optimized = optimize(graph)
    for node in optimized.nodes:
        if isinstance(node.operator, Clip):
            source = optimized.by_name[node.inputs[0]]
            read_by_others = len(optimized.consumers(source.name)) > 1 or source.name in optimized.outputs
            assert read_by_others or not source.operator.fuses_clip
