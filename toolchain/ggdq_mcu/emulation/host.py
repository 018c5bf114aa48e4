"""What does the generated C compute on this computer, and each of its layers?

The app of the firmware itself is compiled with this computer's compiler, every warning an error; it speaks
the protocol of the boards over a pipe.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ggdq_mcu.emulation.backend import Closing
from ggdq_mcu.emulation.protocol import Remote
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.interface import native_library, read_interface

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")

_TIMEOUT_S = 120.0


def compile_host(project: Path, program: Path, flags: Sequence[str] = ("-O2",)) -> None:
    """Compiles the project's app for this computer; GgdqError with the first error or warning."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise GgdqError("there is no C compiler", fix="install gcc")
    interface = read_interface(project)
    twin = project / native_library(interface.name)
    library = (twin if twin.is_dir() else project / "lib" / f"ggdq_{interface.name}") / "src"
    sources = [project / "src" / name for name in ("main.c", "frame.c", "port_host.c")]
    sources += sorted(library.glob("*.c"))
    includes = [f"-I{folder}" for folder in (project / "include", project / "src", library)]
    line = [compiler, *STRICT, "-DGGDQ_TRACE", *flags, *includes, *map(str, sources), "-o", str(program)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [text for text in done.stderr.splitlines() if "error" in text] or ["no output"]
        raise GgdqError(f"the host's compiler fails: {errors[0]}", str(project))


class Pipe:
    """A line to a program that was compiled with port_host.c."""

    name = "host"

    def __init__(self, program: Path, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._process = subprocess.Popen(
            [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )

    def write(self, data: bytes) -> None:
        """Sends bytes; a program that has ended is reported by ``read``."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except BrokenPipeError:
            self._raise_ended()

    def read(self) -> bytes:
        """Some bytes from the program; GgdqError where it has crashed."""
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


class Host(Remote, Closing):
    """The network on this computer, with every layer's output; ``sanitize``: under ASan and UBSan."""

    def __init__(self, project: Path, sanitize: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ggdq-host-")
        program = Path(self._folder.name) / "program"
        compile_host(project, program, ("-O1", *SANITIZERS) if sanitize else ("-O2",))
        self._pipe = Pipe(program)
        super().__init__(self._pipe, read_interface(project))

    def close(self) -> None:
        """Ends the program and removes it."""
        self._pipe.close()
        self._folder.cleanup()


def _reason(code: int, errors: bytes) -> str:
    for line in errors.decode("utf-8", "replace").splitlines():
        if "ERROR: " in line or "runtime error: " in line:
            return line.strip()
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
