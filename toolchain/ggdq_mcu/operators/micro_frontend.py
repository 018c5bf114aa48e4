"""Features of speech as TensorFlow Lite Micro's audio front end has them, from 16-bit samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.graph.operator import Operator, Shape, integer_clip
from ggdq_mcu.numerics.circular import cos
from ggdq_mcu.operators.shared import signal_bank as bank
from ggdq_mcu.operators.shared import signal_fft as fft
from ggdq_mcu.operators.shared.frames import framed
from ggdq_mcu.operators.shared.rescale import channel_parameters, half, multipliers

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]
LOG_BITS = 6  # of a feature behind the point of the logarithm
MOST = 1420  # the largest feature: 64 ln(2^32)
ROUTINES = (
    Routine("routines/signal_fft.c.j2", code_bytes=700),
    Routine("routines/signal_bank.c.j2", code_bytes=700),
)


@dataclass(frozen=True)
class MicroFrontend(Operator):
    """(samples,) of 16 bits -> (frames, channels): a frame of ``window`` samples every ``step``.

    Per frame: a Hann window (12 bits), shifted up as far as 16 bits allow; a real transform of 16 bits, of the next power of
    two; energies; ``channels`` triangular filters on the mel scale from ``lowest`` to ``highest`` Hz; square roots; noise,
    estimated by exponential smoothing (``even`` and ``odd`` channels), taken away, of which ``least`` of the signal stays;
    a gain of (estimate + ``offset``)^-``strength`` (PCAN); 64 ln(value). A feature v stands for ``unit`` * v.

    ``carried``: samples of the last window and the estimate of the noise go on from one inference to the next, which takes
    a multiple of ``step`` samples; before the first one there was silence. Else every inference begins anew.
    q_out = clip((m * v + r) >> n); the other constants are tables.
    """

    rate: int = 16000
    window: int = 480
    step: int = 160
    channels: int = 40
    lowest: float = 125.0
    highest: float = 7500.0
    even: float = 0.025
    odd: float = 0.06
    least: float = 0.05
    strength: float = 0.95
    offset: float = 80.0
    unit: float = 10.0 / 256.0
    carried: bool = False

    @property
    def keeps_state(self) -> bool:
        return self.carried

    @property
    def rectified(self) -> bool:
        return True

    @property
    def size(self) -> int:
        """Points of the transform."""
        return 1 << max(self.window - 1, 3).bit_length()

    @property
    def noise(self) -> bank.Noise:
        """Factors in integers."""
        one = 1 << bank.NOISE_BITS
        return bank.Noise(*(int(np.float32(value) * one) for value in (self.even, self.odd, self.least)))

    def _details(self) -> str:
        return f" {self.channels} channels, {self.window} samples every {self.step}"

    def output_shape(self, *shapes: Shape) -> Shape:
        (samples,) = shapes[0]
        if self.carried and samples % self.step:
            raise ValueError(f"{samples} samples are no multiple of {self.step}")
        if not 16 <= self.window <= 4096 or not 0 < self.step <= self.window:
            raise ValueError("a window has 16 to 4096 samples, and a step at most as many")
        if not 0 <= self.lowest < self.highest <= self.rate / 2 or not 1 <= self.channels <= 128:
            raise ValueError("needs 1 to 128 channels between two frequencies of up to half the rate")
        count = samples // self.step if self.carried else (samples - self.window) // self.step + 1
        return (count, self.channels)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        q = np.clip(np.floor(np.asarray(inputs[0], np.float64) + 0.5), -32768, 32767).astype(np.int64)
        features, _ = self._features(q, self._tables(), None)
        return (features * self.unit).astype(np.float32)

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        if inputs[0].per_channel or (inputs[0].short, inputs[0].step, inputs[0].zero_point) != ("s16", 1, 0):
            raise GgdqError("reads something other than samples of 16 bits", fix="let it read an input of type int16")
        m, shift = multipliers(np.array([self.unit / float(output.step)]), MOST, output)
        offset = np.array([half(shift) + (output.zero_point << shift)])
        return self._tables() | {"multiplier": m, "offset": offset, "shift": np.array([shift])}

    def _tables(self) -> dict[str, Array]:
        turn = np.float32(2) * np.float32(np.pi) / np.float32(self.window)
        angles = turn * (np.arange(self.window, dtype=np.float32) + np.float32(0.5))
        hann = np.float32(0.5) - np.float32(0.5) * cos(angles.astype(np.float64)).astype(np.float32)
        scaled = hann * np.float32(1 << bank.WEIGHT_BITS) + np.float32(0.5)
        filters = bank.mel_bank(self.channels, self.size // 2 + 1, self.rate, self.lowest, self.highest)
        gains = bank.gain(self.size, self.noise.bits, self.strength, self.offset)
        return {
            "window": np.floor(scaled).astype(np.int16),
            "first": np.array(filters.first),
            "channel": filters.channel.astype(np.uint8),
            "rising": filters.rising.astype(np.uint16),
            "falling": filters.falling.astype(np.uint16),
            "gains": gains.table.astype(np.int16),
            "gain_shift": np.array(gains.shift),
        }

    def advance(
        self,
        inputs: Sequence[Array],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        state: Any,
    ) -> tuple[Array, Any]:
        features, state = self._features(inputs[0].astype(np.int64), constants, state)
        value = (constants["multiplier"] * features + constants["offset"]) >> constants["shift"]
        low, high = integer_clip(self, output)
        return np.clip(value, low, high).astype(output.dtype), state

    def _features(self, q: Array, tables: Mapping[str, Array], state: Any) -> tuple[Array, Any]:
        """Features (N, frames, channels) before their scale, and the state: the last samples, and noise (N, channels)."""
        if state is None:
            history = np.zeros((len(q), self.window - self.step if self.carried else 0), np.int64)
            state = history, np.zeros((len(q), self.channels), np.int64)
        samples = np.concatenate([state[0], q], axis=1)
        frames = np.clip(framed(samples, self.window, self.step) * tables["window"] >> bank.WEIGHT_BITS, -32768, 32767)
        up = np.maximum(15 - bank.bits_of(np.abs(frames).max(axis=-1)), 0)[..., None]
        spectrum = fft.real_transform((frames << up).astype(np.int16), self.size)
        filters = bank.Bank(
            self.channels, int(tables["first"]), *(tables[key] for key in ("channel", "rising", "falling"))
        )
        signals = bank.root(bank.banked((spectrum**2).sum(axis=-1), filters)) >> up
        noise, gains = state[1], bank.Gain(tables["gains"].astype(np.int64), int(tables["gain_shift"]))
        features = []
        for signal in np.moveaxis(signals, 1, 0):
            noise = bank.estimate(signal, noise, self.noise)
            rest = bank.gained(bank.subtracted(signal, noise, self.noise), noise, gains)
            features.append(bank.logarithm(rest, bank.correction_of(self.size), LOG_BITS))
        return np.stack(features, axis=1), (samples[:, samples.shape[1] - state[0].shape[1] :], noise)

    def macs(self, shapes: Sequence[Shape]) -> int:
        return 0

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        constants = layer.constants
        arrays, parameters = channel_parameters(self, constants, layer.output, wide=False)
        half_size, frames = self.size // 2, layer.shape[0]
        counts = np.bincount(constants["channel"].astype(np.int64), minlength=self.channels + 1)
        arrays = {
            **{key: constants[key] for key in ("window", "rising", "falling", "gains")},
            "counts": counts.astype(np.uint8 if counts.max() < 256 else np.uint16),
            **fft.tables(half_size),
            "logarithms": bank.logarithm_table().astype(np.uint16),
            **arrays,
        }
        parameters |= {
            "first": int(constants["first"]),
            "gain_shift": int(constants["gain_shift"]),
            "half": half_size,
            "frames": frames,
            "noise": self.noise,
            "correction": bank.correction_of(self.size),
            "log_bits": LOG_BITS,
            "history": self.window - self.step if self.carried else 0,
        }
        bins = len(constants["channel"])
        cost = frames * (20.0 * self.window + fft.cost(half_size) + 25.0 * bins + 900.0 * self.channels)
        noise_bytes = 4 * self.channels
        scratch = 4 * (half_size + 1) + (0 if self.carried else noise_bytes)
        state = 2 * parameters["history"] + noise_bytes if self.carried else 0
        template = f"operators/{self.name}.c.j2"
        return [
            Kernel("portable", template, parameters, arrays, scratch, cost, ROUTINES, state_bytes=state, code_bytes=600)
        ]
