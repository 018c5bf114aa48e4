"""The commands as functions: the same results, and samples from whatever yields them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ggdq_mcu
from ggdq_mcu import GgdqError, QuantizedModel
from ggdq_mcu.graph import Graph
from ggdq_mcu.pipeline.verify import verify
from ggdq_mcu.samples import samples_of

EXAMPLES = Path(__file__).parents[1] / "examples"
MODEL, CALIB, TEST = (EXAMPLES / name for name in ("digits.h5", "digits.npz", "digits_test.npz"))
QUICK: dict[str, Any] = {"scheme": "minmax", "adaptive_rounding": False, "channel_steps": False, "headroom": False}


@pytest.fixture(scope="module")
def digits() -> QuantizedModel:
    return ggdq_mcu.quantize(MODEL, CALIB, **QUICK)


@pytest.fixture(scope="module")
def graph(digits: QuantizedModel) -> Graph:
    return digits.float_network


@pytest.fixture(scope="module")
def arrays() -> tuple[Any, Any]:
    with np.load(CALIB) as data:
        return data["x"][:12], data["y"][:12]


class Tensor:
    """As tensors of PyTorch are: no NumPy array before detach, cpu and numpy."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def numpy(self) -> Any:
        return self._array


class Items:
    """A Dataset as PyTorch has it: items by number, no iterator."""

    def __init__(self, x: Any, y: Any) -> None:
        self._x, self._y = x, y

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return Tensor(self._x[index]), int(self._y[index])


def endless(x: Any, y: Any) -> Iterator[Any]:
    while True:
        yield x, y


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y: (x, y),
        lambda x, y: [x, y],
        lambda x, y: {"x": x, "y": y},
        lambda x, y: ((x[i : i + 5], y[i : i + 5]) for i in range(0, len(x), 5)),
        lambda x, y: ((x[i], y[i]) for i in range(len(x))),
        lambda x, y: [(Tensor(x[i : i + 5]), Tensor(y[i : i + 5])) for i in range(0, len(x), 5)],
        lambda x, y: ({"x": x[i], "y": y[i]} for i in range(len(x))),
        lambda x, y: ((x[i : i + 4, :, :, 0], y[i : i + 4]) for i in range(0, len(x), 4)),
        Items,
        endless,
    ],
)
def test_samples_come_from_whatever_yields_them(
    graph: Graph, arrays: tuple[Any, Any], form: Callable[[Any, Any], Any]
) -> None:
    x, y = arrays
    found = samples_of(form(x, y), graph, count=len(x))
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, y)
    np.testing.assert_array_equal(found.samples[graph.inputs[0]], x)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (3, "int is none"),
        (iter(()), "there is no sample"),
        ((np.zeros((n, 8, 8, 1)) for n in (2, 0)), ""),
        ((np.zeros((8, n, 1)) for n in (8, 9)), "different shapes"),
        ([[1, 2], [3], [4]], "make no array"),
        (np.zeros((3, 9, 9, 1)), "the network takes"),
        ({"y": np.zeros(3)}, "no array"),
        ((({"x": np.zeros((8, 8, 1))} if n else np.zeros((8, 8, 1)), n) for n in range(2)), ""),
        (({"picture": np.zeros((8, 8, 1))} for _ in range(2)), "an item has no"),
    ],
)
def test_what_are_no_samples_is_an_error_of_ours(graph: Graph, given: Any, told: str) -> None:
    if not told:
        assert len(samples_of(given, graph)) == 2
        return
    with pytest.raises(GgdqError, match=told):
        samples_of(given, graph)


def test_commands_on_a_project(digits: QuantizedModel, tmp_path: Path) -> None:
    few = tmp_path / "few.npz"
    with np.load(TEST) as data:
        np.savez(few, x=data["x"][:20], y=data["y"][:20])
    told: list[tuple[str, int, int | None]] = []
    built = digits.build(
        "host", tmp_path / "p", ram="200k", compile=False, self_test=True, progress=lambda *step: told.append(step)
    )
    assert any("writing" in text for text, _, _ in told)
    assert ggdq_mcu.verify(built.folder, ["host"], count=3) == verify(built.folder, ["host"], count=3)
    again = ggdq_mcu.evaluate(built.folder, str(few), count=15, report=True)
    assert ggdq_mcu.evaluate(built.folder, few, count=15) == again
    assert "samples of few.npz" in (built.folder / "report.html").read_text(encoding="utf-8")
    outcome = ggdq_mcu.check(built.folder, tmp_path / "base.json", few, write=True)
    assert outcome.written
    assert not ggdq_mcu.check(built.folder, tmp_path / "base.json", few).worse


def test_errors_of_commands_are_ours(digits: QuantizedModel, tmp_path: Path) -> None:
    for call in (
        lambda: ggdq_mcu.verify(tmp_path / "none"),
        lambda: ggdq_mcu.profile(tmp_path / "none"),
        lambda: ggdq_mcu.flash(tmp_path / "none"),
        lambda: ggdq_mcu.analyze(tmp_path / "none.h5", CALIB),
        lambda: digits.build("host", tmp_path / "p", ram="20X"),
        lambda: digits.build("host", tmp_path / "p", app="radio"),
    ):
        with pytest.raises(GgdqError):
            call()
