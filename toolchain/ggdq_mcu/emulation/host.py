"""What does the generated C compute on this computer, and each of its layers?

The app of the firmware itself is compiled with this computer's compiler, every warning an error; it speaks
the protocol of the boards over a pipe.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ggdq_mcu.emulation.backend import Closing
from ggdq_mcu.emulation.pipe import Pipe
from ggdq_mcu.emulation.protocol import Remote
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.interface import native_library, read_interface
from ggdq_mcu.scratch import Scratch

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")


def compile_host(project: Path, program: Path, flags: Sequence[str] = ("-O2",)) -> None:
    """Compiles the project's app for this computer; GgdqError with the first error or warning."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise GgdqError("there is no C compiler", fix="install gcc")
    interface = read_interface(project)
    twin = project / native_library(interface.name)
    library = (twin if twin.is_dir() else project / "lib" / f"ggdq_{interface.name}") / "src"
    folders = (project / "src" / "app", project / "src" / "host", library)
    sources = [path for folder in folders for path in sorted(folder.glob("*.c"))]
    includes = [f"-I{folder}" for folder in (project / "include", *folders)]
    line = [compiler, *STRICT, "-DGGDQ_TRACE", *flags, *includes, *map(str, sources), "-o", str(program)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [text for text in done.stderr.splitlines() if "error" in text] or ["no output"]
        raise GgdqError(f"the host's compiler fails: {errors[0]}", str(project))


class Host(Remote, Closing):
    """The network on this computer, with every layer's output; ``sanitize``: under ASan and UBSan."""

    def __init__(self, project: Path, sanitize: bool = False) -> None:
        self._folder = Scratch("host")
        program = self._folder.path / "program"
        try:
            compile_host(project, program, ("-O1", *SANITIZERS) if sanitize else ("-O2",))
        except BaseException:
            self._folder.close()
            raise
        self._pipe = Pipe([str(program)], "host")
        super().__init__(self._pipe, read_interface(project))

    def close(self) -> None:
        """Ends the program and removes it."""
        self._pipe.close()
        self._folder.close()
