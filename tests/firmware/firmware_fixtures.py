"""Projects around hand-made networks, compiled once in a process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import networks
import numpy as np
import pytest

from ggdq_mcu import boards, projects
from ggdq_mcu.boards import Board

BOARDS = [board.name for board in boards.all_boards() if board.uart is not None]


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
    """Writes and compiles a project around "tiny" or "pair" for a board, once."""
    done: dict[tuple[str, str], Built] = {}

    def build(board_name: str, network: str = "tiny") -> Built:
        key = board_name, network
        if key not in done:
            folder = tmp_path_factory.mktemp("project") / board_name
            board = boards.load(board_name)
            files = getattr(networks, network)()
            stored = samples(3) if network == "tiny" else []
            interface = projects.write(folder, board, files, stored)
            done[key] = Built(folder, board, projects.compile_project(folder), interface)
        return done[key]

    return build
