"""How does one calibrate on more samples than memory holds, or on several machines? Shard by shard, then merged."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from ggdq_mcu.data import BATCH, DataSet, stream_data
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.quantization.calibration import Calibration, calibrate, merged


def shard_paths(pattern: str) -> list[Path]:
    """The files that ``pattern`` matches, in the order of their names; GgdqError where there is none."""
    paths = sorted(Path(name) for name in glob.glob(pattern, recursive=True))
    if not paths:
        raise GgdqError("no file matches it", f"calibration samples {pattern!r}")
    return paths


def calibrate_shards(
    graph: Graph,
    paths: Sequence[Path],
    count: int | None = None,
    workers: str | None = None,
    seen: Callable[[int], None] = lambda samples: None,
) -> Calibration:
    """One calibration of the first ``count`` samples (all, where None) of .npz files, in their order.

    It is exactly that of all samples in one file: histograms add up, and the samples kept are the first. Memory is that
    of one batch. ``workers``: address of a Dask scheduler, whose workers see the same files and take one shard each.
    ``seen`` is told the number of samples as they pass.
    """
    if workers is not None:
        if count is not None:
            raise GgdqError("a limit on the samples and workers do not go together", fix="give one of them")
        return reduce(merged, _on_cluster(graph, paths, workers))
    total: Calibration | None = None
    samples = 0
    for batch in _batches(graph, paths, count):
        part = calibrate(graph, batch)
        total = part if total is None else merged(total, part)
        samples += len(batch)
        seen(samples)
    assert total is not None
    return total


def _batches(graph: Graph, paths: Sequence[Path], count: int | None) -> Iterator[DataSet]:
    left = count
    for path in paths:
        for samples in stream_data(path, graph, 4 * BATCH):
            data = DataSet(samples, source=str(path))
            yield data if left is None else data.first(left)
            if left is not None:
                left -= len(data)
                if left <= 0:
                    return


def _on_cluster(graph: Graph, paths: Sequence[Path], workers: str) -> list[Calibration]:
    try:
        from dask import distributed
    except ImportError as error:
        raise GgdqError("workers need Dask", fix="install it with: pip install 'ggdq-mcu[dask]'") from error
    try:
        connect: Any = distributed.Client
        client = connect(workers, timeout="20s")
    except (OSError, ValueError) as error:
        raise GgdqError(f"no Dask scheduler answers ({error})", f"workers {workers}") from error
    with client:
        graph_there = client.scatter(graph, broadcast=True)
        futures = [client.submit(calibrate_shards, graph_there, [path.resolve()]) for path in paths]
        found: list[Calibration] = client.gather(futures)
        return found
