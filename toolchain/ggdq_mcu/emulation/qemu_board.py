"""What does the firmware do on a core that Unicorn does not have? The very ELF, started in QEMU."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ggdq_mcu.boards import Board
from ggdq_mcu.emulation.backend import Closing, Samples, Trace
from ggdq_mcu.emulation.pipe import Pipe
from ggdq_mcu.emulation.protocol import Remote
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.interface import Arrays, Interface


def qemu_command(elf: Path, board: Board, serial: str = "stdio") -> list[str]:
    """The command that starts a firmware in QEMU; ``serial``: where its serial port goes, in QEMU's words."""
    if board.qemu is None:
        raise GgdqError("QEMU has no such board", board.name, "use --on host or serial:PORT")
    program = shutil.which(board.qemu.program)
    if program is None:
        fix = "Debian has it in qemu-system-arm and qemu-system-misc"
        raise GgdqError(f"there is no {board.qemu.program}", board.name, fix)
    ports = ["null"] * board.qemu.serial_port + [serial]
    line = [program, "-machine", board.qemu.machine, "-kernel", str(elf), "-display", "none", "-monitor", "none"]
    line += ["-bios", "none"] if board.core.family == "riscv" else []
    return [*line, *(word for port in ports for word in ("-serial", port))]


class QemuBoard(Pipe):
    """A board in QEMU, with a line to its serial port (a Transport)."""

    def __init__(self, elf: Path, board: Board, timeout_s: float = 120.0) -> None:
        super().__init__(qemu_command(elf, board), f"QEMU {board.name}", timeout_s)
        # What is said before the firmware has switched its serial port on is lost; it greets when it has.
        self._greeting = super().read()

    def read(self) -> bytes:
        """Some bytes from the firmware, its greeting first."""
        greeting, self._greeting = self._greeting, b""
        return greeting or super().read()


class QemuNetwork(Closing):
    """The firmware in QEMU as a backend.

    ``layers_elf`` gives the same firmware compiled with GGDQ_TRACE, when a layer is asked for.
    """

    def __init__(self, elf: Path, board: Board, interface: Interface, layers_elf: Callable[[], Path]) -> None:
        self._board, self._interface, self._layers_elf = board, interface, layers_elf
        self._lines = [QemuBoard(elf, board)]
        self._flashed = Remote(self._lines[0], interface)
        self._tracing: Remote | None = None
        self.name = self._lines[0].name

    def run(self, samples: Samples) -> list[Arrays]:
        """The outputs for each sample."""
        return self._flashed.run(samples)

    def reset(self) -> None:
        """Begins a new stream."""
        self._flashed.reset()

    def push(self, frame: Arrays) -> Arrays | None:
        """The next frame of a stream; the outputs where a window is complete, else None."""
        return self._flashed.push(frame)

    def trace(self, sample: Arrays) -> Trace:
        """The outputs of the firmware that would be flashed, and each layer's of its twin that tells them."""
        if self._tracing is None:
            self._lines.append(QemuBoard(self._layers_elf(), self._board))
            self._tracing = Remote(self._lines[-1], self._interface)
        (outputs,) = self._flashed.run([sample])
        return Trace(outputs, self._tracing.trace(sample).layers, {})

    def close(self) -> None:
        """Ends QEMU."""
        for line in self._lines:
            line.close()
