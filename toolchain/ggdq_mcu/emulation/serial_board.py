"""What does the network compute on a real board at a serial port?"""

from __future__ import annotations

import time

import serial

from ggdq_mcu.emulation.backend import Closing
from ggdq_mcu.emulation.protocol import Remote
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.interface import Interface

_BITS = 10  # of a byte on the line: start, eight, stop


class SerialLine:
    """A serial port as a Transport.

    ``timeout_s``: the longest silence before a question is asked again, beside the time that bytes on their way take.
    """

    def __init__(self, port: str, baud: int = 115200, timeout_s: float = 5.0) -> None:
        self.name = port
        self._timeout_s, self._byte_s = timeout_s, _BITS / baud
        self._sent_at = 0.0  # when the last byte has gone over the line
        try:
            self._serial = serial.serial_for_url(port, baudrate=baud, timeout=timeout_s, write_timeout=timeout_s)
        except (serial.SerialException, ValueError, OverflowError) as error:
            raise GgdqError(f"cannot open the serial port ({error})", port, "pio device list shows them") from error

    def write(self, data: bytes) -> None:
        """Sends bytes; they may be buffered, and take their time at this baud rate."""
        now = time.monotonic()
        self._sent_at = max(now, self._sent_at) + len(data) * self._byte_s
        try:
            self._serial.write_timeout = self._timeout_s + self._sent_at - now
            self._serial.write(data)
        except serial.SerialException as error:
            raise GgdqError(f"cannot write ({error})", self.name, "is the board still there?") from error

    def read(self) -> bytes:
        """What has arrived; waits for the first byte."""
        try:
            self._serial.timeout = self._timeout_s + max(0.0, self._sent_at - time.monotonic())
            return bytes(self._serial.read(max(1, self._serial.in_waiting)))
        except serial.SerialException as error:
            raise GgdqError(f"cannot read ({error})", self.name, "is the board still there?") from error

    def close(self) -> None:
        """Frees the port."""
        self._serial.close()


class SerialBoard(Remote, Closing):
    """The network on the board at a serial port, as a backend."""

    def __init__(self, port: str, interface: Interface, baud: int = 115200, timeout_s: float = 5.0) -> None:
        self._line = SerialLine(port, baud, timeout_s)
        super().__init__(self._line, interface)

    def close(self) -> None:
        """Frees the port."""
        self._line.close()
