"""Many files, read piece by piece, calibrate like one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_networks import chain, linear, samples

from effort import drawn
from ggdq_mcu.data import DataSet, stream_data
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.quantization.calibration import Calibration, calibrate
from ggdq_mcu.quantization.shards import calibrate_shards, shard_paths

GENERATOR = np.random.default_rng(5)
GRAPH = chain(linear(GENERATOR, "conv", 3, "a", "image"), linear(GENERATOR, "depthwise", 4, "b", "a"))


def written(folder: Path, sizes: list[int], compressed: bool = False) -> tuple[DataSet, str]:
    """Files of so many samples, and all of these as one set."""
    whole = samples(GRAPH, sum(sizes), seed=1)
    for number, (size, end) in enumerate(zip(sizes, np.cumsum(sizes), strict=True)):
        save = np.savez_compressed if compressed else np.savez
        save(folder / f"shard_{number:02}.npz", x=whole.samples["image"][end - size : end])
    return whole, str(folder / "shard_*.npz")


def assert_same(first: Calibration, second: Calibration) -> None:
    assert first.histograms == second.histograms
    np.testing.assert_array_equal(first.samples["image"], second.samples["image"])
    assert first.peaks.keys() == second.peaks.keys() == first.histograms.keys()
    for name, peaks in first.peaks.items():
        np.testing.assert_array_equal(peaks.above, second.peaks[name].above)
        np.testing.assert_array_equal(peaks.below, second.peaks[name].below)
    assert (first.pixels, first.seen) == (second.pixels, second.seen)


@settings(deadline=None, max_examples=drawn(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.sampled_from([1, 7, 230]), min_size=1, max_size=4), compressed=st.booleans())
def test_shards_give_exactly_the_calibration_of_all_samples(
    sizes: list[int], compressed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole, pattern = written(tmp_path_factory.mktemp("shards"), sizes, compressed)
    told: list[int] = []
    assert_same(calibrate_shards(GRAPH, shard_paths(pattern), seen=told.append), calibrate(GRAPH, whole))
    assert told[-1] == sum(sizes)


@pytest.mark.parametrize("count", [1, 7, 9, 12, 100])
def test_a_count_takes_the_first_samples_over_all_files(tmp_path: Path, count: int) -> None:
    whole, pattern = written(tmp_path, [7, 2, 3])
    assert_same(calibrate_shards(GRAPH, shard_paths(pattern), count), calibrate(GRAPH, whole.first(count)))


def test_workers_of_a_cluster_give_the_same(tmp_path: Path) -> None:
    from dask.distributed import LocalCluster

    whole, pattern = written(tmp_path, [5, 4, 6])
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        found = calibrate_shards(GRAPH, shard_paths(pattern), workers=cluster.scheduler_address)
    assert_same(found, calibrate(GRAPH, whole))


def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    peaks = []
    for count in (1_000, 6_000):
        np.savez(tmp_path / f"{count}.npz", x=np.zeros((count, 6, 6, 3), np.float32))
        tracemalloc.start()
        for batch in stream_data(tmp_path / f"{count}.npz", GRAPH, 50):
            assert len(batch["image"]) == 50
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_pixels_are_known_over_all_files(tmp_path: Path) -> None:
    for number in range(2):
        np.savez(tmp_path / f"{number}.npz", x=GENERATOR.integers(0, 256, (3, 6, 6, 3)).astype(np.uint8))
    assert calibrate_shards(GRAPH, shard_paths(str(tmp_path / "*.npz"))).pixels == {"image"}


def test_a_pattern_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="no file matches"):
        shard_paths(str(tmp_path / "*.npz"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros(3)}, r"no array 'x' in it \(found: y\)"),
        ({"x": np.zeros((3, 5, 5, 3), np.float32)}, r"samples have shape \(5, 5, 3\)"),
        ({"x": np.zeros((0, 6, 6, 3), np.float32)}, "no sample"),
        ({"x": np.full((3, 6, 6, 3), np.nan, np.float32)}, "sample 0 has a value that is NaN"),
        ({"x": np.array([{}], object)}, "not lie sample by sample|not a readable"),
        ({"x": np.asfortranarray(np.zeros((3, 6, 6, 3), np.float32))}, "does not lie sample by sample"),
    ],
)
def test_a_bad_file_is_one_line_with_its_name(tmp_path: Path, arrays: dict, message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(GgdqError, match=message) as caught:
        calibrate_shards(GRAPH, [path])
    assert "bad.npz" in str(caught.value)


def test_a_file_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "short.npz"
    np.savez(path, x=np.zeros((60, 6, 6, 3), np.float32))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(GgdqError, match=r"short\.npz"):
        calibrate_shards(GRAPH, [path])
