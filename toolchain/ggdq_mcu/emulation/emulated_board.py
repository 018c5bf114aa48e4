"""What does the firmware do that would be flashed? The very ELF, started at its reset vector, in Unicorn.

Modelled are the core, flash, RAM, the serial port and, while nothing arrives, the cycle counter. Every other register
keeps what is written to it and is 0 at first, so no clock ever gets ready: the firmware must start without.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import unicorn

from ggdq_mcu.boards import Board, Memory
from ggdq_mcu.emulation.backend import Closing, Trace
from ggdq_mcu.emulation.layers import LayerSymbol
from ggdq_mcu.emulation.protocol import Remote
from ggdq_mcu.emulation.unicorn_machine import Call, Image, Machine, read_image
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.interface import Arrays, Interface

if TYPE_CHECKING:
    from ggdq_mcu.emulation.cycles import CycleRule
    from ggdq_mcu.emulation.flash import FlashModel

# By family of cores: where registers are.
_REGISTERS = {
    "cortex-m": (Memory(0x4000_0000, 0x2000_0000), Memory(0xE000_0000, 0x10_0000)),
    "riscv": (Memory(0x0200_0000, 0x1800_0000),),
}
_NOWHERE = 0xFFFF_FFFE
# By kind of serial port: offsets of status, received byte and byte to send; status bits "received" and "can send".
_SERIAL_PORTS = {
    "usart_v1": (0x00, 0x04, 0x04, 0x20, 0xC0),
    "usart_v2": (0x1C, 0x24, 0x28, 0x20, 0xC0),
    "lpuart": (0x1C, 0x24, 0x28, 0x20, 0xC0),
    "cmsdk": (0x04, 0x00, 0x00, 0x02, 0x00),
    "ns16550": (0x05, 0x00, 0x00, 0x01, 0x60),
}
_IDLE_POLLS = 3
_SYSTICK, _SYSTICK_MAX = 0xE000_E018, (1 << 24) - 1  # of a Cortex-M: counts down, and wraps with an interrupt
_MTIME = 0x0200_BFF8  # of a RISC-V core, 64 bits


class EmulatedBoard:
    """A board in the state of a reset, with a line to its serial port (a Transport).

    ``ready``: bits that registers show besides what was written, by address: clocks that do get ready.
    """

    def __init__(
        self,
        elf: Path | Image,
        board: Board,
        *,
        count: bool = False,
        rule: CycleRule | None = None,
        flash: FlashModel | None = None,
        ready: Mapping[int, int] | None = None,
        timeout_s: float = 300.0,
    ) -> None:
        if board.flash is None or board.ram is None or board.uart is None:
            raise GgdqError("this board has no firmware to emulate", board.name, "use the host")
        self.name = f"emulated {board.name}"
        self._timeout_s = timeout_s
        self._ready = dict(ready or {})
        self._registers: dict[int, int] = {}
        self._to_board: deque[int] = deque()
        self._from_board = bytearray()
        self._idle_polls = 0
        self._cycles = 0  # of the time that was waited; while the firmware runs, the clock stands still
        self._clock_hz = board.clock_hz if ready else board.reset_clock_hz
        *offsets, self._received, self._can_send = _SERIAL_PORTS[board.uart.kind]
        self._status, self._receive, self._send = (board.uart.base + offset for offset in offsets)
        self._line_control = board.uart.base + 3 if board.uart.kind == "ns16550" else None
        image = elf if isinstance(elf, Image) else read_image(elf)
        self.machine = Machine(image, board.core, bare=True, count=count, rule=rule, flash=flash)
        self.machine.map(board.flash, writable=False)
        self.machine.map(board.ram, writable=True)
        for region in _REGISTERS[board.core.family]:
            self._map_registers(region)
        self._stop_at_faults(image)
        for _, address, data, _ in image.segments:
            if data:
                self.machine.write(address, data)
        self._counter = self._vectors = board.flash.origin  # where a RISC-V core starts
        if board.core.family == "cortex-m":
            stack, handler = struct.unpack("<II", self.machine.read(board.flash.origin, 8))
            self.machine.set_stack(stack)
            self._counter = handler & ~1

    def write(self, data: bytes) -> None:
        """Bytes that arrive at the board's serial port."""
        self._to_board.extend(data)

    def read(self) -> bytes:
        """Runs the board until it waits for more, and returns what it sent."""
        self._idle_polls = 0
        in_time = self.machine.run(self._counter, _NOWHERE, self._timeout_s)
        self._counter = self.machine.counter
        if self._counter == self.machine.image.symbols.get("fault_handler"):
            raise GgdqError("the firmware ended in its fault handler", str(self.machine.image.path))
        if not in_time:
            what = f"the firmware does not answer within {self._timeout_s:g} s of emulation"
            raise GgdqError(f"{what} at {self.machine.image.nearest(self._counter)}", str(self.machine.image.path))
        sent = bytes(self._from_board)
        self._from_board.clear()
        return sent

    def wait(self, seconds: float) -> None:
        """Lets time pass while nothing arrives: the cycle counter goes on, with the interrupts that it makes."""
        until = self._cycles + round(seconds * self._clock_hz)
        while "systick_handler" in self.machine.image.symbols and (self._cycles | _SYSTICK_MAX) < until:
            self._cycles = (self._cycles | _SYSTICK_MAX) + 1
            self.machine.interrupt("systick_handler", self._counter, self._vectors)
        self._cycles = until

    def _map_registers(self, region: Memory) -> None:
        def read(_uc: Any, offset: int, _size: int, _data: Any) -> int:
            return self._read_register(region.origin + offset)

        def write(_uc: Any, offset: int, _size: int, value: int, _data: Any) -> None:
            self._write_register(region.origin + offset, value)

        self.machine.uc.mmio_map(region.origin, region.size, read, None, write, None)

    def _read_register(self, address: int) -> int:
        if address == self._status:
            if self._to_board:
                return self._can_send | self._received
            # The firmware polls and sends nothing in between: it waits for us.
            self._idle_polls += 1
            if self._idle_polls >= _IDLE_POLLS:
                self.machine.uc.emu_stop()
            return self._can_send
        if address == self._receive:
            return self._to_board.popleft() if self._to_board else 0
        if self._cycles and address == _SYSTICK:
            return -self._cycles & _SYSTICK_MAX
        if self._cycles and address in (_MTIME, _MTIME + 4):
            return self._cycles >> 8 * (address - _MTIME) & 0xFFFF_FFFF
        return self._registers.get(address, 0) | self._ready.get(address, 0)

    def _write_register(self, address: int, value: int) -> None:
        if address == self._send and not self._is_divider_open():
            self._idle_polls = 0
            self._from_board.append(value & 0xFF)
        else:
            self._registers[address] = value

    def _is_divider_open(self) -> bool:
        """Does a 16550 show its divider where else bytes are sent?"""
        return self._line_control is not None and bool(self._registers.get(self._line_control, 0) & 0x80)

    def _stop_at_faults(self, image: Image) -> None:
        handler = image.symbols.get("fault_handler")
        if handler is not None:
            self.machine.uc.hook_add(unicorn.UC_HOOK_CODE, lambda uc, *_: uc.emu_stop(), begin=handler, end=handler)


class EmulatedNetwork(Remote, Closing):
    """The firmware on an emulated board as a backend; ``layers`` are those that ``trace`` tells of."""

    def __init__(self, elf: Path, board: Board, interface: Interface, layers: Sequence[LayerSymbol] = ()) -> None:
        self._image = read_image(elf)
        self._board = board
        self._layers = layers
        self._watched: tuple[EmulatedBoard, Remote] | None = None
        super().__init__(EmulatedBoard(self._image, board), interface)

    def trace(self, sample: Arrays) -> Trace:
        """Each layer's output and executed instructions, on a second board that is watched; of a stream for a frame."""
        from ggdq_mcu.emulation.cycles import board_rule
        from ggdq_mcu.emulation.flash import FlashModel

        rule, timing, memory = board_rule(self._board), self._board.timing, self._board.flash
        if self._watched is None:
            flash = FlashModel(timing, memory) if timing and memory else None
            watched = EmulatedBoard(self._image, self._board, count=True, rule=rule, flash=flash)
            for layer in self._layers:
                watched.machine.watch(layer.function, layer.output_argument + 1)
            ports = len(self.interface.inputs) + len(self.interface.outputs)
            watched.machine.watch(self.interface.function, ports)
            self._watched = (watched, Remote(watched, self.interface))
        board, remote = self._watched
        layers: dict[int, bytes] = {}
        instructions, cycles = Counter[int](), defaultdict[int, float](float)
        by_function = {layer.function: layer for layer in self._layers}
        whole: list[Call] = []

        def on_return(call: Call) -> None:
            layer = by_function.get(call.function)
            if layer is None:
                whole.append(call)
            else:
                data = board.machine.read(call.arguments[layer.output_argument], layer.output_bytes)
                layers[layer.index] = layers.get(layer.index, b"") + data  # rows after rows, where it runs in strips
                instructions[layer.index] += call.instructions
                cycles[layer.index] += call.cycles

        board.machine.on_return = on_return
        outputs = self.interface.unpack_outputs(remote.answer(sample).outputs)
        return Trace(
            outputs,
            layers,
            dict(instructions),
            whole[-1].instructions,
            {index: round(count) for index, count in cycles.items()} if rule else {},
            round(whole[-1].cycles) if rule else None,
        )
