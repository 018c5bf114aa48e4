"""How does one talk to a firmware that runs in a process of this computer, over its standard input and output?"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Sequence

from ggdq_mcu.errors import GgdqError


class Pipe:
    """A line to a program; ``timeout_s`` is the longest silence that is waited through."""

    def __init__(self, command: Sequence[str], name: str, timeout_s: float = 120.0) -> None:
        self.name = name
        self._timeout_s = timeout_s
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )

    def write(self, data: bytes) -> None:
        """Sends bytes; a program that has ended is told with its reason."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except BrokenPipeError:
            self._raise_ended()

    def read(self) -> bytes:
        """Some bytes from the program; GgdqError where it has ended."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self._timeout_s)
        if not ready:
            return b""
        data = os.read(self._process.stdout.fileno(), 1 << 16)
        if not data:
            self._raise_ended()
        return data

    def finish(self) -> bytes:
        """Ends the input; what the program still says. GgdqError where it does not end well."""
        out, errors = self._process.communicate(timeout=self._timeout_s)
        if self._process.returncode != 0:
            raise GgdqError(f"the network crashed: {_reason(self._process.returncode, errors)}", self.name)
        return bytes(out)

    def close(self) -> None:
        """Ends the program."""
        self._process.kill()
        self._process.communicate()

    def _raise_ended(self) -> None:
        _, errors = self._process.communicate()
        raise GgdqError(f"the network crashed: {_reason(self._process.returncode, errors)}", self.name)


def _reason(code: int, errors: bytes) -> str:
    lines = [line.strip() for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    for line in lines:
        if "ERROR: " in line or "runtime error: " in line:
            return line
    if code < 0:
        return signal.Signals(-code).name
    return lines[-1] if lines else f"exit code {code}"
