"""Projects around hand-made networks, compiled once in a process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import networks
import numpy as np
import pytest

from ggdq_mcu import boards, projects
from ggdq_mcu.boards import Board
from ggdq_mcu.projects.compiling import measure

BOARDS = [board.name for board in boards.all_boards() if board.uart is not None]  # bare metal
EMULATED = [name for name in BOARDS if boards.load(name).core.unicorn]


@dataclass(frozen=True)
class Built:
    """A compiled project."""

    folder: Path
    board: Board
    firmware: projects.Firmware
    interface: projects.Interface


def samples(count: int) -> list[tuple[projects.Arrays, projects.Arrays]]:
    """Random inputs of the network ``tiny``, and its outputs."""
    rng = np.random.default_rng(1)
    inputs = [rng.integers(-128, 128, 7).astype(np.int8) for _ in range(count)]
    return [((x,), (networks.tiny_layers(x)[1],)) for x in inputs]


@pytest.fixture(scope="session")
def local_platformio() -> Iterator[None]:
    """PlatformIO with what is installed here, in a core folder of this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GGDQ_PIO", "local")
        cache = Path(__file__).resolve().parents[2] / ".cache"
        patch.setenv("GGDQ_CACHE", os.environ.get("GGDQ_CACHE", str(cache)))
        yield


@pytest.fixture(scope="session")
def built(local_platformio: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Built]:
    """Writes and compiles a project around "tiny" or "pair" for a board, once.

    The Nucleo's with PlatformIO, the others with make, which gives the same firmware in a third of the time.
    """
    done: dict[tuple[str, str, str], Built] = {}

    def build(board_name: str, network: str = "tiny", app: str = "serial") -> Built:
        key = board_name, network, app
        if key not in done:
            folder = tmp_path_factory.mktemp("project") / board_name
            board = boards.load(board_name)
            files = getattr(networks, network)()
            stored = samples(3) if network == "tiny" else []
            interface = projects.write(folder, board, files, stored, app=projects.App(app))
            done[key] = Built(folder, board, _compile(folder, board), interface)
        return done[key]

    return build


def _compile(folder: Path, board: Board) -> projects.Firmware:
    if board.name == "nucleo_f446re":
        return projects.compile_project(folder)
    subprocess.run(["make", "-s", "firmware.elf"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return measure(folder / "firmware.elf")
