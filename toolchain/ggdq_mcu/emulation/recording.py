"""What does a network say of a recording? Its library, compiled for this computer, is given samples as a board would be."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.emulation.backend import Closing
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects import Arrays
from ggdq_mcu.projects.interface import native_library, read_interface
from ggdq_mcu.scratch import Scratch

Array = NDArray[Any]


class Listener(Closing):
    """A project's network that takes 16-bit samples, on this computer; GgdqError where it takes none."""

    def __init__(self, project: Path) -> None:
        self.interface = read_interface(project)
        self._prefix = f"ggdq_{self.interface.name}"
        twin = project / native_library(self.interface.name)
        source = (twin if twin.is_dir() else project / "lib" / self._prefix) / "src"
        if f"{self._prefix}_push_audio" not in (source / f"{self._prefix}.h").read_text(encoding="utf-8"):
            raise GgdqError(
                "the network takes no sound sample by sample",
                str(project),
                "build it with --frontend, and with --streaming unless it keeps a state",
            )
        self._folder = Scratch("listener")
        try:
            self._library = ctypes.CDLL(str(_compiled(source, self._folder.path)))
        except BaseException:
            self._folder.close()
            raise

    def close(self) -> None:
        """Removes the library."""
        self._folder.close()

    def listen(self, samples: Array) -> Iterator[tuple[int, Arrays]]:
        """A recording (N,) int16 from the beginning: how many samples there were, and the outputs then, flat integers."""
        self._library[f"{self._prefix}_reset"]()
        push = self._library[f"{self._prefix}_push_audio"]
        samples = np.ascontiguousarray(samples, np.int16)
        outputs = tuple(np.zeros(port.elements, port.dtype) for port in self.interface.outputs)
        places = [one.ctypes.data_as(ctypes.c_void_p) for one in outputs]
        used, done = ctypes.c_size_t(0), 0
        while done < len(samples):
            rest = samples[done:]
            ready = push(rest.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(rest)), ctypes.byref(used), *places)
            done += used.value
            if ready == 1:
                yield done, tuple(one.copy() for one in outputs)


def _compiled(source: Path, folder: Path) -> Path:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise GgdqError("there is no C compiler", fix="install gcc")
    library = folder / "library.so"
    line = [compiler, *STRICT, "-O2", "-fPIC", "-shared", *map(str, sorted(source.glob("*.c"))), "-o", str(library)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [text for text in done.stderr.splitlines() if "error" in text] or ["no output"]
        raise GgdqError(f"the host's compiler fails: {errors[0]}", str(source))
    return library
