"""What calibration sees does not depend on how the samples came; without samples, statistics stand in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import chain, linear, samples

from effort import drawn
from ggdq_mcu.data import DataSet
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.graph.graph import Statistics
from ggdq_mcu.quantization import calibration
from ggdq_mcu.quantization.calibration import calibrate, calibrate_without_data, merged
from ggdq_mcu.quantization.quantize import quantize

GENERATOR = np.random.default_rng(5)


def network() -> Graph:
    return chain(
        linear(GENERATOR, "conv", 3, "a", "image"),
        linear(GENERATOR, "depthwise", 4, "b", "a"),
        linear(GENERATOR, "conv", 4, "c", "b", (-np.inf, np.inf)),
    )


GRAPH = network()


def assert_same(first: calibration.Calibration, second: calibration.Calibration) -> None:
    assert first.histograms == second.histograms
    assert first.samples.keys() == second.samples.keys()
    for name, values in first.samples.items():
        np.testing.assert_array_equal(values, second.samples[name])
    assert first.pixels == second.pixels


def test_every_feature_map_has_a_histogram_of_all_its_values() -> None:
    found = calibrate(GRAPH, samples(GRAPH, 7))
    assert {name: h.samples.tolist() for name, h in found.histograms.items()} == {
        "image": [7 * 36] * 3, "a": [7 * 36] * 4, "b": [7 * 36] * 4, "c": [7 * 36] * 4,
    }  # fmt: skip


@settings(deadline=None, max_examples=drawn(20))
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_shards_merge_to_what_one_run_sees(sizes: list[int]) -> None:
    whole = samples(GRAPH, sum(sizes), seed=2)
    ends = np.cumsum(sizes)
    shards = [calibrate(GRAPH, whole.slice(end - size, end)) for size, end in zip(sizes, ends, strict=True)]
    together = shards[0]
    for shard in shards[1:]:
        together = merged(together, shard)
    assert_same(together, calibrate(GRAPH, whole))


def test_the_order_of_merging_more_than_two_does_not_matter() -> None:
    parts = [calibrate(GRAPH, samples(GRAPH, 3, seed)) for seed in range(3)]
    assert_same(merged(merged(parts[0], parts[1]), parts[2]), merged(parts[0], merged(parts[1], parts[2])))


def test_only_the_first_samples_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "KEPT_SAMPLES", 4)
    data = samples(GRAPH, 10)
    np.testing.assert_array_equal(calibrate(GRAPH, data).samples["image"], data.samples["image"][:4])
    both = merged(calibrate(GRAPH, data.first(3)), calibrate(GRAPH, data.slice(3, 10)))
    np.testing.assert_array_equal(both.samples["image"], data.samples["image"][:4])


def test_whole_numbers_from_0_to_255_are_known_as_pixels() -> None:
    pixels = DataSet({"image": GENERATOR.integers(0, 256, (3, 6, 6, 3)).astype(np.uint8)})
    assert calibrate(GRAPH, pixels).pixels == {"image"}
    assert calibrate(GRAPH, samples(GRAPH, 3)).pixels == frozenset()
    assert merged(calibrate(GRAPH, pixels), calibrate(GRAPH, samples(GRAPH, 3))).pixels == frozenset()


def test_a_value_that_overflows_names_its_layer() -> None:
    data = samples(GRAPH, 2)
    data.samples["image"][...] = 3e38
    with pytest.raises(GgdqError, match=r"^layer 'a': a value is not finite"):
        calibrate(GRAPH, data)


def with_statistics(graph: Graph, mean: float, deviation: float) -> Graph:
    channels = np.ones(4)
    nodes = tuple(
        replace(n, statistics=Statistics(mean * channels, deviation * channels)) if n.name in "ab" else n
        for n in graph.nodes
    )
    return replace(graph, nodes=nodes)


def test_without_samples_and_statistics_there_is_nothing_to_go_by() -> None:
    with pytest.raises(GgdqError, match=r"no samples.*give samples with --calib"):
        calibrate_without_data(GRAPH)


def test_without_samples_the_statistics_of_normalised_layers_are_met() -> None:
    found = calibrate_without_data(with_statistics(GRAPH, 3.0, 0.25))
    for name in "ab":
        values = found.histograms[name].channel_distributions()
        np.testing.assert_allclose(values.mean, 3.0, atol=0.1)
        np.testing.assert_allclose(np.sqrt(values.mean_square - values.mean**2), 0.25, rtol=0.25)
    assert found.drawn


def test_without_samples_the_same_seed_gives_the_same_calibration() -> None:
    graph = with_statistics(GRAPH, 0.0, 1.0)
    first, second = calibrate_without_data(graph), calibrate_without_data(graph)
    assert first.histograms == second.histograms
    assert first.histograms != calibrate_without_data(graph, seed=1).histograms


def test_drawn_inputs_explain_the_first_normalised_layer() -> None:
    graph = with_statistics(GRAPH, 0.0, 1.0)
    real = samples(graph, 200, scale=7.0).samples["image"] + 3
    sums = graph.by_name["a"].operator.accumulate(real, graph.by_name["a"].weights["kernel"], 0.0)
    sums = (sums + graph.by_name["a"].weights["bias"]).reshape(-1, 4)
    first = replace(graph.nodes[1], statistics=Statistics(sums.mean(axis=0), sums.std(axis=0)))
    drawn = calibrate_without_data(replace(graph, nodes=(graph.nodes[0], first, *graph.nodes[2:]))).samples["image"]
    assert 3.5 < drawn.std() < 14
    assert abs(drawn.mean() - 3) < 7


def test_networks_calibrated_without_data_come_close_to_those_calibrated_with_it() -> None:
    data = samples(GRAPH, 100)
    values: dict[str, np.ndarray] = {}
    plain = replace(
        GRAPH,
        nodes=tuple(replace(n, operator=replace(n.operator, low=-np.inf)) if n.inputs else n for n in GRAPH.nodes),
    )
    first = plain.run(data.samples, lambda node, value: values.setdefault(node.name, value))
    assert first
    relu = {"a": values["a"]}
    relu["b"] = GRAPH.by_name["b"].operator.accumulate(
        np.maximum(values["a"], 0), GRAPH.by_name["b"].weights["kernel"], 0.0
    )
    relu["b"] = relu["b"] + GRAPH.by_name["b"].weights["bias"]
    nodes = tuple(
        replace(n, statistics=Statistics(relu[n.name].mean(axis=(0, 1, 2)), relu[n.name].std(axis=(0, 1, 2))))
        if n.name in relu
        else n
        for n in GRAPH.nodes
    )
    graph = replace(GRAPH, nodes=nodes)
    expected = graph.run(data.samples)["c"]
    for found_by, most in ((calibrate(graph, data), 0.01), (calibrate_without_data(graph), 0.05)):
        network = quantize(graph, found_by)
        found = network.by_name["c"].format.dequantize(network.run(network.quantize_inputs(data.samples))["c"])
        assert np.sum((found - expected) ** 2) < most * np.sum(expected**2)
