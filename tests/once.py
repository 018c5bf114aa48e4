"""What many tests compute alike is computed once in a run: calibrations and quantized networks, compiled objects.

Dozens of tests build the example network, and a dozen the keyword spotter. What a calibration depends on is the network and
the samples; a quantized network depends on the calibration and the options. Both are looked up by their content here, as long
as no test asks for everything anew (``pytest.mark.anew``): those that show that the same input gives the same output.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import networks

from ggdq_mcu import model
from ggdq_mcu.pipeline import analyze, build, mixed_bits

_MOST = 24  # results that are kept
_PLAIN = (str, int, float, bool, bytes, type(None), np.generic)


class _NoKeyError(Exception):
    """A value whose content cannot be told."""


def content(value: Any) -> str:
    """A digest of everything in a value made of dataclasses, arrays and plain values."""
    digest = hashlib.sha256()

    def enter(one: Any) -> None:
        digest.update(type(one).__name__.encode())
        if isinstance(one, np.ndarray):
            digest.update(f"{one.dtype.str}{one.shape}".encode() + one.tobytes())
        elif is_dataclass(one):
            for field in fields(one):
                digest.update(field.name.encode())
                enter(getattr(one, field.name))
        elif isinstance(one, Mapping):
            enter(tuple(one.items()))
        elif isinstance(one, tuple | list):
            digest.update(str(len(one)).encode())
            for part in one:
                enter(part)
        elif isinstance(one, _PLAIN):
            digest.update(repr(one).encode() + b";")
        else:
            raise _NoKeyError

    enter(value)
    return digest.hexdigest()


class Once:
    """Results by content, in memory and in a folder that all workers share; ``anew``: nothing is looked up."""

    def __init__(self, folder: Path) -> None:
        self.anew = False
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._results: OrderedDict[str, Any] = OrderedDict()
        self._calibrations: dict[int, str] = {}

    def calibrate(self, of: Callable[..., Any]) -> Callable[..., Any]:
        def found(graph: Any, data: Any) -> Any:
            # Not where the samples lie, nor how they lay: what they are.
            key = None if self.anew else self._key("calibration", graph, data.samples, data.labels)
            calibration = self._looked_up(key, lambda: of(graph, data))
            if key is not None:
                self._calibrations[id(calibration)] = key
            return calibration

        return found

    def quantize(self, of: Callable[..., Any]) -> Callable[..., Any]:
        def found(graph: Any, calibration: Any, options: Any = None) -> Any:
            made_from = None if self.anew else self._calibrations.get(id(calibration))
            known = made_from is not None and self._results.get(made_from) is calibration
            key = self._key("network", made_from, graph, options) if known else None
            return self._looked_up(key, lambda: of(graph, calibration, options))

        return found

    def _key(self, *parts: Any) -> str | None:
        try:
            return content(parts)
        except _NoKeyError:
            return None

    def _looked_up(self, key: str | None, compute: Callable[[], Any]) -> Any:
        if key is None:
            return compute()
        if key not in self._results:
            self._results[key] = self._of_all_workers(self._folder / key, compute)
            while len(self._results) > _MOST:
                self._results.popitem(last=False)
        self._results.move_to_end(key)
        return self._results[key]

    def _of_all_workers(self, path: Path, compute: Callable[[], Any]) -> Any:
        if path.exists():
            return pickle.loads(path.read_bytes())
        result = compute()
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_bytes(pickle.dumps(result))
        part.rename(path)
        return result


@contextmanager
def computed_once(folder: Path) -> Iterator[Once]:
    """Commands, the Python interface and benchmarks look results up; PlatformIO keeps compiled objects in the folder too."""
    once = Once(folder / "results")
    with pytest.MonkeyPatch.context() as patch:
        for place, name in (
            (build, "calibrate"),
            (analyze, "calibrate"),
            (model, "calibrate"),
            (networks, "calibrate"),
        ):
            patch.setattr(place, name, once.calibrate(getattr(place, name)))
        for place, name in (
            (build, "quantize"),
            (analyze, "quantize"),
            (mixed_bits, "quantize"),
            (model, "quantize_graph"),
            (networks, "quantize"),
        ):
            patch.setattr(place, name, once.quantize(getattr(place, name)))
        patch.setenv("PLATFORMIO_BUILD_CACHE_DIR", str(folder / "objects"))
        yield once
