"""What a firmware can rely on: buffers of the right sizes, a watchdog that is fed, a network that knows it is damaged."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import ggdq_mcu
from ggdq_mcu import GgdqError, QuantizedModel, boards
from ggdq_mcu.emulation.emulated_board import EmulatedBoard
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.emulation.protocol import Client
from ggdq_mcu.pipeline.quantized_project import Target, build_quantized
from ggdq_mcu.pipeline.verify import verify
from ggdq_mcu.projects import App

EXAMPLES = Path(__file__).parents[2] / "examples"
MAIN = """
#include "ggdq_network.h"
#include <stdio.h>
static int fed;
void ggdq_network_watchdog(void) { fed++; }
int main(void)
{
    static ggdq_network_input_t in[GGDQ_NETWORK_INPUT_ELEMENTS];
    static ggdq_network_output_t out[GGDQ_NETWORK_OUTPUT_ELEMENTS];
    printf("%d ", ggdq_network_invoke_sized(in, sizeof in, out, sizeof out));
    printf("%d ", ggdq_network_invoke_sized(in, sizeof in - 1, out, sizeof out));
    printf("%d ", ggdq_network_invoke_sized(in, sizeof in, out, sizeof out + 1));
    printf("%d\\n", fed);
    return 0;
}
"""


@pytest.fixture(scope="module")
def digits() -> QuantizedModel:
    return ggdq_mcu.quantize(EXAMPLES / "digits.h5", EXAMPLES / "digits.npz")


def test_sizes_are_checked_and_a_watchdog_is_fed_after_each_layer(digits: QuantizedModel, tmp_path: Path) -> None:
    folder = digits.build("host", tmp_path / "p", compile=False).folder / "lib" / "ggdq_network" / "src"
    (tmp_path / "main.c").write_text(MAIN)
    line = ["cc", *STRICT, "-DGGDQ_WATCHDOG", f"-I{folder}", *map(str, folder.glob("*.c")), "main.c", "-o", "run"]
    subprocess.run(line, cwd=tmp_path, check=True)
    told = subprocess.run([str(tmp_path / "run")], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["0", "-1", "-1", str(len(digits.description.layers))]


def test_a_firmware_that_fails_its_self_test_does_not_run(digits: QuantizedModel, tmp_path: Path) -> None:
    target = Target(boards.load("nucleo"), tmp_path / "p", app=App(self_test=True))
    built = build_quantized(digits.made, target)
    assert verify(built.folder, ["emulator"], count=1).equal
    elf = Path(built.description.firmware or "")
    image = digits.network.quantize_inputs({"image": np.zeros((1, 8, 8, 1))})["image"].tobytes()
    assert Client(EmulatedBoard(elf, target.board)).run(image).outputs
    line = ["make", "-C", str(built.folder), "firmware.elf"]  # without PlatformIO
    subprocess.run(line, check=True, capture_output=True)
    assert Client(EmulatedBoard(built.folder / "firmware.elf", target.board)).run(image).outputs
    damaged = tmp_path / "damaged.elf"
    # A weight; an instruction that is not executed; the stored checksum itself.
    for symbol in ("ggdq_network_logits_weights", "fault_handler", ".image_crc"):
        content = bytearray(elf.read_bytes())
        with elf.open("rb") as file:
            linked = ELFFile(file)
            found = linked.get_section_by_name(".symtab").get_symbol_by_name(symbol)
            address = found[0]["st_value"] & ~1 if found else linked.get_section_by_name(symbol)["sh_addr"]
            (place,) = linked.address_offsets(address)
        content[place] ^= 1
        damaged.write_bytes(content)
        with pytest.raises(GgdqError, match="status -1"):
            Client(EmulatedBoard(damaged, target.board)).run(image)
