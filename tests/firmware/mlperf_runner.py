"""The computer's side of the MLPerf Tiny protocol, as the benchmark's runner speaks it."""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np

_CHARACTERS = 80  # of a command


class Line(Protocol):
    """A line to the device."""

    def write(self, data: bytes) -> object: ...

    def read(self) -> bytes: ...


class Runner:
    """Sends commands, and takes the lines of each answer."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._text = ""

    def greeting(self) -> list[str]:
        """What the device says at its start."""
        return self._answer()

    def ask(self, command: str) -> list[str]:
        """The lines that answer a command, without the last, m-ready."""
        self._line.write(f"{command}%".encode("latin-1"))
        return self._answer()

    def load(self, data: bytes) -> list[str]:
        """Loads the inputs, in commands of the greatest length; what the last one says."""
        told = self.ask(f"db load {len(data)}")
        assert told == [f"m-[Expecting {len(data)} bytes]"]
        digits, step = data.hex(), 2 * ((_CHARACTERS - len("db %")) // 2)
        for start in range(0, len(digits), step):
            told = self.ask(f"db {digits[start : start + step]}")
        return told

    def infer(self, runs: int = 1, warmups: int = 0) -> np.ndarray:
        """The outputs of the last run, as real values."""
        lines = self.ask(f"infer {runs} {warmups}")
        kinds = [re.sub(r"-?\d+$", "", line) for line in lines[:-1]]
        assert kinds == ["m-warmup-start", "m-warmup-done", "m-infer-start", "m-lap-us", "m-lap-us", "m-infer-done"]
        assert (lines[0], lines[2]) == (f"m-warmup-start-{warmups}", f"m-infer-start-{runs}")
        first, second = (int(line.rpartition("-")[2]) for line in lines[3:5])
        assert first <= second
        return results(lines[-1])

    def _answer(self) -> list[str]:
        while not re.search(r"^m-ready\r\n", self._text, re.MULTILINE):
            data = self._line.read()
            assert data, f"silence after {self._text!r}"
            self._text += data.decode("ascii")
        answer, _, self._text = self._text.partition("m-ready\r\n")
        assert answer.replace("\r\n", "").isprintable()
        return answer.split("\r\n")[:-1]


def results(line: str) -> np.ndarray:
    """The values of a results line."""
    match = re.fullmatch(r"m-results-\[(-?\d+\.\d{3,}(?:,-?\d+\.\d{3,})*)\]", line)
    assert match, line
    return np.array([float(value) for value in match[1].split(",")])
