"""Where can a project's network run, and how is that place opened?"""

from __future__ import annotations

from ggdq_mcu import projects
from ggdq_mcu.emulation.backend import Backend
from ggdq_mcu.emulation.emulated_board import EmulatedNetwork
from ggdq_mcu.emulation.host import Host
from ggdq_mcu.emulation.layers import layer_symbols
from ggdq_mcu.emulation.qemu_board import QemuNetwork
from ggdq_mcu.emulation.serial_board import SerialBoard
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.project import Project
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.planning.stages import Stage
from ggdq_mcu.progress import Progress
from ggdq_mcu.projects import Firmware, read_interface

REFERENCE, HOST, EMULATOR, SERIAL = "reference", "host", "emulator", "serial:"
_BAUD = 115200  # with a framework


def default_places(project: Project) -> list[str]:
    """This computer, and the emulated board where the core can be emulated."""
    board = project.board
    return [HOST, EMULATOR] if board.uart is not None and (board.core.unicorn or board.qemu) else [HOST]


def open_place(project: Project, place: str, progress: Progress) -> Backend:
    """The project's network, ready to run at "host", "emulator" or "serial:PORT" ("serial:PORT@BAUD")."""
    if place == HOST:
        progress.step("compiling for this computer")
        return Host(project.folder)
    if place == EMULATOR:
        return open_emulator(project, progress)
    if place.startswith(SERIAL) and len(place) > len(SERIAL):
        port, _, rate = place.removeprefix(SERIAL).partition("@")
        if not rate.isdecimal() and "@" in place:
            raise GgdqError("the baud rate is not a number", place, "write serial:PORT@921600")
        baud = int(rate) if rate else project.board.uart.baud if project.board.uart else _BAUD
        return SerialBoard(port, read_interface(project.folder), baud)
    raise GgdqError(f"unknown place {place!r}", fix="known: reference, host, emulator, serial:PORT")


def open_emulator(project: Project, progress: Progress) -> EmulatedNetwork | QemuNetwork:
    """The project's firmware on the emulated board; compiled first, unless it is there and up to date."""
    board, interface = project.board, read_interface(project.folder)
    if board.uart is None or not (board.core.unicorn or board.qemu):
        raise GgdqError(f"there is no emulator for {board.core.name}", board.name, "use --on host or serial:PORT")
    firmware = compiled_firmware(project, progress)
    if not board.core.unicorn:
        layers = f"{board.name}_layers"
        return QemuNetwork(firmware.elf, board, interface, lambda: compiled_firmware(project, progress, layers).elf)
    stages = [Stage(stage.first, stage.last, stage.rows, stage.pairs) for stage in project.description.stages]
    plan = make_plan(project.step or project.network, board.core, project.description.goal or "balanced", stages=stages)
    symbols = layer_symbols(plan, project.description.name)
    return EmulatedNetwork(firmware.elf, board, interface, symbols)


def compiled_firmware(project: Project, progress: Progress, environment: str | None = None) -> Firmware:
    """The project's firmware (``environment``: the default), compiled unless it is there and up to date."""
    try:
        firmware = projects.firmware_of(project.folder, environment)
        if _is_current(project, firmware):
            return firmware
    except GgdqError:
        pass  # it was never compiled
    progress.step(f"compiling for {project.board.title}")
    return projects.compile_project(project.folder, environment)


def _is_current(project: Project, firmware: Firmware) -> bool:
    """Is the firmware newer than everything it is made of?"""
    compiled = firmware.elf.stat().st_mtime_ns
    folders = (project.folder / name for name in ("src", "include", "lib", "boards"))
    sources = [path for folder in folders for path in folder.rglob("*")]
    sources += [project.folder / name for name in ("platformio.ini", "link.ld")]
    return all(path.stat().st_mtime_ns <= compiled for path in sources if path.is_file())
