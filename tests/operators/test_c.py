"""The C of every operator is equal to its integers: with each kernel that a core may use, on each core that is emulated."""

from __future__ import annotations

import os

import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.emulation.linked_library import can_run
from operators.cases import examples, with_layers
from operators.layers_in_c import check_equal_to_reference

EMULATED = [name for name, core in CORES.items() if can_run(core) or core.family == "host"]
COUNT = int(os.environ.get("GGDQ_EXAMPLES", "4"))  # layers of each operator on each core


@pytest.mark.parametrize("core", EMULATED)
def test_c_is_equal_to_the_integers(core: str) -> None:
    number = 1 + EMULATED.index(core)
    check_equal_to_reference([layer for name in with_layers() for layer in examples(name, COUNT, number)], core)
