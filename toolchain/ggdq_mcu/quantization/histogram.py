"""What values does a feature map take? Streaming statistics that merge exactly, whatever the order.

A `Histogram` is fed batches and merged over shards; its memory depends on the number of channels alone.
A `Distribution` is what it says about the values once the data are gone, and is what fits and schemes read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.numerics.sums import total

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Number = TypeVar("Number", bound=np.number[Any])

BINS = 2048
"""Bins on each side of zero; at least half of those on the longer side are in use."""

POOLED_BINS = 4 * BINS
_LOWEST_EXPONENT = -100  # keeps BINS / range a normal float32
_FLOAT32_EXPONENT = 11  # up to this range no float32 underflows when it is scaled to bins
_CHUNK = 1 << 17  # elements binned at a time: the temporaries stay in the cache


@dataclass(eq=False)
class Histogram:
    """Counts of the values of a feature map, by channel, on both sides of zero.

    Channel c covers (-2^e, 2^e), e = `exponent[c]` the smallest that holds every value seen. A larger value
    doubles the range by adding up pairs of bins, which is exact, so that the result depends on the multiset
    of values only: neither on the order of updates nor on how the samples were split between shards.

    counts      (C, 2 * BINS) values that are not zero; bin BINS + i holds [i, i + 1) * 2^e / BINS
    exponent    (C,) binary exponent of the range
    zeros       (C,) values that are exactly zero
    minimum     (C,) smallest value, 0 before the first; at_minimum (C,) how often it was seen
    maximum     (C,) largest value, 0 before the first; at_maximum (C,) how often it was seen
    """

    counts: IntArray
    exponent: IntArray
    zeros: IntArray
    minimum: NDArray[np.float32]
    maximum: NDArray[np.float32]
    at_minimum: IntArray
    at_maximum: IntArray

    @classmethod
    def empty(cls, channels: int) -> Histogram:
        """A histogram of `channels` channels that has seen nothing."""
        return cls(
            counts=np.zeros((channels, 2 * BINS), np.int64),
            exponent=np.full(channels, _LOWEST_EXPONENT, np.int64),
            zeros=np.zeros(channels, np.int64),
            minimum=np.zeros(channels, np.float32),
            maximum=np.zeros(channels, np.float32),
            at_minimum=np.zeros(channels, np.int64),
            at_maximum=np.zeros(channels, np.int64),
        )

    @classmethod
    def of(cls, values: ArrayLike, where: str = "") -> Histogram:
        """The histogram of one array (..., C)."""
        array = np.atleast_1d(np.asarray(values))
        histogram = cls.empty(array.shape[-1])
        histogram.update(array, where)
        return histogram

    @property
    def channels(self) -> int:
        return len(self.zeros)

    @property
    def samples(self) -> IntArray:
        """(C,) how many values were seen, zeros included."""
        return np.asarray(self.counts.sum(1) + self.zeros, np.int64)

    def update(self, values: ArrayLike, where: str = "") -> None:
        """Count the values (..., C), as float32. `where` names the feature map in errors.

        Raises GgdqError, and counts nothing, if a value is not finite or C differs.
        """
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused below
            array = np.atleast_1d(np.asarray(values)).astype(np.float32, copy=False)
        if array.shape[-1] != self.channels:
            raise GgdqError(f"{array.shape[-1]} channels where {self.channels} were seen before", where)
        if array.size == 0:
            return
        rows = array.reshape(-1, self.channels)
        low, high = rows.min(0), rows.max(0)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise GgdqError("a value is not finite", where, "check the calibration samples and the model's weights")
        self._widen(_exponent_of(np.maximum(-low, high)))
        self._note_extremes(low, high, (rows == low).sum(0), (rows == high).sum(0))
        step = max(1, _CHUNK // self.channels)
        for start in range(0, len(rows), step):
            self._count(rows[start : start + step])

    def _count(self, rows: NDArray[np.float32]) -> None:
        wide = self.exponent.max() > _FLOAT32_EXPONENT
        real = np.float64 if wide else np.float32
        scaled = rows * np.ldexp(real(BINS), -self.exponent).astype(real)
        index = np.floor(scaled, out=scaled).astype(np.intp)
        index += np.arange(self.channels) * (2 * BINS) + BINS
        np.add.at(self.counts.reshape(-1), index.reshape(-1), 1)
        zeros = (rows == 0).sum(0)
        self.zeros += zeros
        self.counts[:, BINS] -= zeros

    def _widen(self, exponent: IntArray) -> None:
        """Double the ranges up to at least 2^exponent (C,)."""
        for channel in np.flatnonzero(exponent > self.exponent):
            row = self.counts[channel]
            if not row.any():
                continue
            for _ in range(min(int(exponent[channel] - self.exponent[channel]), BINS.bit_length())):
                pairs = row.reshape(BINS, 2).sum(1)
                row[:] = 0
                row[BINS // 2 : BINS // 2 + BINS] = pairs
        np.maximum(self.exponent, exponent, out=self.exponent)

    def _note_extremes(
        self,
        low: NDArray[np.float32],
        high: NDArray[np.float32],
        at_low: IntArray,
        at_high: IntArray,
    ) -> None:
        seen = self.at_maximum > 0
        lower, same = ~seen | (low < self.minimum), seen & (low == self.minimum)
        self.at_minimum = np.where(lower, at_low, self.at_minimum + np.where(same, at_low, 0))
        self.minimum = np.where(lower, low, self.minimum) + np.float32(0)  # -0 and 0 are one value
        higher, same = ~seen | (high > self.maximum), seen & (high == self.maximum)
        self.at_maximum = np.where(higher, at_high, self.at_maximum + np.where(same, at_high, 0))
        self.maximum = np.where(higher, high, self.maximum) + np.float32(0)

    def of_channels(self, channels: IntArray | None) -> Histogram:
        """The histogram of some channels (indices) alone, or of all where it is None."""
        return self if channels is None else Histogram(**{name: value[channels] for name, value in vars(self).items()})

    def copy(self) -> Histogram:
        return Histogram(**{name: value.copy() for name, value in vars(self).items()})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        mine, theirs = vars(self), vars(other)
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    __hash__ = None  # type: ignore[assignment]

    def channel_distributions(self) -> Distribution:
        """The distribution of each channel: C rows."""
        return self.scaled(np.ones(self.channels))

    def scaled(self, steps: ArrayLike) -> Distribution:
        """The distribution of x_c / steps_c, C rows, without the data. `steps` (C,), all positive."""
        divisor = np.broadcast_to(np.asarray(steps, np.float64), (self.channels,))
        positive, negative = self.counts[:, BINS:].copy(), self.counts[:, BINS - 1 :: -1].copy()
        low, high = self.minimum.astype(np.float64), self.maximum.astype(np.float64)
        at_low, at_high = np.where(low < 0, self.at_minimum, 0), np.where(high > 0, self.at_maximum, 0)
        scale, row = np.ldexp(float(BINS), -self.exponent), np.arange(self.channels)
        positive[row, np.floor(np.maximum(high, 0) * scale).astype(int)] -= at_high
        negative[row, np.maximum(np.ceil(np.maximum(-low, 0) * scale).astype(int) - 1, 0)] -= at_low
        width = np.ldexp(1.0, self.exponent) / BINS / divisor

        def side(counts: IntArray, extreme: FloatArray, times: IntArray) -> Side:
            atoms = (np.maximum(extreme, 0) / divisor)[:, None]
            return Side(counts.astype(float), width, atoms, times[:, None].astype(float))

        return Distribution(side(positive, high, at_high), side(negative, -low, at_low), self.zeros.astype(np.float64))

    def distribution(self) -> Distribution:
        """The distribution of the whole tensor: one row."""
        return self.channel_distributions().pooled()


def merge(first: Histogram, second: Histogram) -> Histogram:
    """The histogram of the values of both; associative, commutative and exact."""
    if first.channels != second.channels:
        raise GgdqError(f"histograms of {first.channels} and of {second.channels} channels do not merge")
    result, other = first.copy(), second.copy()
    result._widen(other.exponent)
    other._widen(result.exponent)
    seen = other.at_maximum > 0
    low = np.where(seen, other.minimum, result.minimum)
    high = np.where(seen, other.maximum, result.maximum)
    result._note_extremes(low, high, other.at_minimum, other.at_maximum)
    result.counts += other.counts
    result.zeros += other.zeros
    return result


@dataclass(frozen=True, eq=False)
class Side:
    """Magnitudes on one side of zero, R rows: densities flat inside each bin, plus atoms (exact values).

    counts  (R, B) how many values lie in [i, i + 1) * width
    width   (R,) width of a bin
    atoms   (R, A) exact magnitudes, and atom_counts (R, A) how often each occurs: the extremes, which decide
            what clipping costs (a ReLU6 piles up on its bound; one outlier may hold half of the power)
    """

    counts: FloatArray
    width: FloatArray
    atoms: FloatArray
    atom_counts: FloatArray
    bins: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bins", self.counts.shape[1])

    @cached_property
    def total(self) -> FloatArray:
        """(R,) number of values."""
        return total(self.counts, 1) + total(self.atom_counts, 1)

    @cached_property
    def maximum(self) -> FloatArray:
        """(R,) the largest magnitude, 0 where there is none."""
        return np.asarray(np.where(self.atom_counts > 0, self.atoms, 0).max(1))

    @cached_property
    def _tables(self) -> tuple[FloatArray, ...]:
        """Count of bin i; Σ 1, Σ (x - i), Σ (x - i)² over the bins from i on, in bin widths; flat."""
        counts = np.pad(self.counts, ((0, 0), (0, 1)))
        above = _sum_from_top(counts)
        excess = _sum_from_top(above - counts / 2)
        squares = _sum_from_top(2 * excess - above + counts / 3)
        return counts.ravel(), above.ravel(), excess.ravel(), squares.ravel()

    def _locate(self, thresholds: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
        """Flat table index and position inside the bin (0..1) of thresholds (R, ...)."""
        position = np.minimum(thresholds / _like(self.width, thresholds), self.bins)
        index = position.astype(np.intp)
        position -= index
        index += _like(np.arange(len(self.width)) * (self.bins + 1), thresholds)
        return index, position

    def bin_survival(self, thresholds: FloatArray) -> FloatArray:
        """How many values of the bins (not of the atoms) exceed the thresholds (R, ...), which are >= 0."""
        counts, above, _, _ = self._tables
        index, p = self._locate(thresholds)
        return np.asarray(above[index] - p * counts[index])

    def bin_excess(self, thresholds: FloatArray) -> FloatArray:
        """Σ (x - t)+ over the values of the bins."""
        counts, above, excess, _ = self._tables
        index, p = self._locate(thresholds)
        widths = excess[index] - p * (above[index] - p * (counts[index] / 2))
        return np.asarray(widths * _like(self.width, thresholds))

    def bin_square_excess(self, thresholds: FloatArray) -> FloatArray:
        """Σ ((x - t)+)² over the values of the bins."""
        counts, above, excess, squares = self._tables
        index, p = self._locate(thresholds)
        widths = squares[index] - p * (2 * excess[index] - p * (above[index] - p * (counts[index] / 3)))
        return np.asarray(widths * _like(self.width, thresholds) ** 2)

    def survival(self, thresholds: FloatArray) -> FloatArray:
        """How many values exceed the thresholds (R, ...), which are >= 0."""
        return self.bin_survival(thresholds) + self._atoms_above(thresholds, 0)

    def excess(self, thresholds: FloatArray) -> FloatArray:
        """Σ (x - t)+ over the values, for each of the thresholds (R, ...)."""
        return self.bin_excess(thresholds) + self._atoms_above(thresholds, 1)

    def square_excess(self, thresholds: FloatArray) -> FloatArray:
        """Σ ((x - t)+)² over the values, for each of the thresholds (R, ...)."""
        return self.bin_square_excess(thresholds) + self._atoms_above(thresholds, 2)

    def _atoms_above(self, thresholds: FloatArray, power: int) -> FloatArray:
        shape = (len(self.width),) + (1,) * (thresholds.ndim - 1) + (-1,)
        beyond = self.atoms.reshape(shape) - thresholds[..., None]
        return total(self.atom_counts.reshape(shape) * (beyond > 0) * beyond**power, -1)

    @cached_property
    def bin_power(self) -> FloatArray:
        """(R,) Σ x² over the values of the bins."""
        i = np.arange(self.bins)
        return total(self.counts * (i * (i + 1.0) + 1 / 3), 1) * self.width**2

    @cached_property
    def power(self) -> FloatArray:
        """(R,) Σ x²."""
        return self.bin_power + total(self.atom_counts * self.atoms**2, 1)

    @cached_property
    def sum(self) -> FloatArray:
        """(R,) Σ x."""
        middles = np.arange(self.bins) + 0.5
        return total(self.counts * middles, 1) * self.width + total(self.atom_counts * self.atoms, 1)

    def quantile(self, above: FloatArray) -> FloatArray:
        """(R,) the magnitude that `above` (R,) of the values exceed; 0 where there are not that many."""
        return np.array([self._row_quantile(row, float(count)) for row, count in enumerate(above)])

    def _row_quantile(self, row: int, above: float) -> float:
        """Of one row: fifty steps on single numbers take less time than on arrays of a few rows."""
        counts, survival, _, _ = self._tables
        first, width = row * (self.bins + 1), float(self.width[row])
        atoms = list(zip(self.atoms[row].tolist(), self.atom_counts[row].tolist(), strict=True))
        lower, upper = 0.0, float(self.maximum[row])
        for _ in range(50):  # bisection: the survival function falls, with jumps at the atoms
            middle = (lower + upper) / 2
            position = min(middle / width, self.bins)
            index = int(position)
            within = survival.item(first + index) - (position - index) * counts.item(first + index)
            if within + sum(times for atom, times in atoms if atom > middle) > above:
                lower = middle
            else:
                upper = middle
        return upper

    def joined(self, other: Side) -> Side:
        """The magnitudes of both sides of the same rows."""
        return Side(
            self.counts + other.counts,
            self.width,
            np.concatenate([self.atoms, other.atoms], 1),
            np.concatenate([self.atom_counts, other.atom_counts], 1),
        )

    def pooled(self) -> Side:
        """All rows in one, in POOLED_BINS bins over the widest row's range."""
        width = float(self.width.max()) * self.bins / POOLED_BINS
        edges = np.broadcast_to(np.arange(POOLED_BINS + 1) * width, (len(self.width), POOLED_BINS + 1))
        tails = total(self.bin_survival(edges), 0)
        return Side(
            -np.diff(tails)[None],
            np.array([width]),
            self.atoms.reshape(1, -1),
            self.atom_counts.reshape(1, -1),
        )


@dataclass(frozen=True, eq=False)
class Distribution:
    """The values of R rows (channels, or one tensor): two sides and the exact zeros between them (R,)."""

    positive: Side
    negative: Side
    zeros: FloatArray

    @property
    def rows(self) -> int:
        return len(self.zeros)

    @cached_property
    def samples(self) -> FloatArray:
        """(R,) number of values, zeros included."""
        return np.asarray(self.positive.total + self.negative.total + self.zeros)

    @cached_property
    def magnitude(self) -> Side:
        """The distribution of |x| without the zeros."""
        return self.positive.joined(self.negative)

    @cached_property
    def mean(self) -> FloatArray:
        """(R,) E[x], 0 for a row without values."""
        return np.asarray((self.positive.sum - self.negative.sum) / np.maximum(self.samples, 1))

    @cached_property
    def mean_square(self) -> FloatArray:
        """(R,) E[x²], 0 for a row without values."""
        return np.asarray((self.positive.power + self.negative.power) / np.maximum(self.samples, 1))

    def pooled(self) -> Distribution:
        """All rows as one."""
        if self.rows == 1:
            return self
        return Distribution(self.positive.pooled(), self.negative.pooled(), total(self.zeros)[None])


def _exponent_of(magnitude: NDArray[np.float32]) -> IntArray:
    """Smallest e with magnitude < 2^e, bounded below."""
    exponent = np.frexp(magnitude)[1].astype(np.int64)
    return np.where(magnitude > 0, np.maximum(exponent, _LOWEST_EXPONENT), _LOWEST_EXPONENT)


def _sum_from_top(table: FloatArray) -> FloatArray:
    return np.cumsum(table[:, ::-1], 1)[:, ::-1]


def _like(rows: NDArray[Number], thresholds: FloatArray) -> NDArray[Number]:
    """`rows` (R,), shaped to broadcast against thresholds (R, ...)."""
    return rows.reshape(-1, *(1,) * (thresholds.ndim - 1))
