"""Which bit length should each layer have, within a budget? The least memory for a wanted quality, or the best within a memory.

Each tensor's noise at the outputs is measured alone (``quantization.sensitivity``); bits are given up in the order of least
noise for the memory (``quantization.bit_path``); what an assignment takes is what the planner says of it, and the quality of
those on the way is measured end to end, on calibration samples that the weights were not refined on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ggdq_mcu.boards import Board
from ggdq_mcu.data import DataSet
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.pipeline.analyze import Measurement, Variant
from ggdq_mcu.pipeline.budget import Budget, best_plan, exceeds, fitting_plan, parse_bytes, ram_bytes
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.quantization.bit_path import Choice, path
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from ggdq_mcu.quantization.sensitivity import Sensitivity, measure, own_formats, sketch, with_bits

WEIGHT_BITS = (2, 4, 8, 16)  # what takes different amounts of flash: 3 bits lie in 4, 5 to 7 in 8
MAP_BITS = (8, 16)  # the same of RAM: a map of fewer bits than 8 lies one value to a byte
_FEWEST_SAMPLES = 8
_TRIALS = 4
_MAPS = "\0maps"  # no node is called so


@dataclass(frozen=True)
class Wanted:
    """A budget: bytes of flash and RAM, SQNR of the first output in dB, points of accuracy below float, longest bits.

    Where ``bits`` does not say it, nothing is longer than 8 bits, unless the wanted quality cannot be had with these: what is
    longer has no fast kernels.
    """

    text: str
    flash: int | None = None
    ram: int | None = None
    sqnr_db: float | None = None
    accuracy: float | None = None
    bits: int | None = None


@dataclass(frozen=True)
class Found:
    """The network with the bit lengths that were found, and in one line what it reaches."""

    network: QuantizedGraph
    told: str


@dataclass(frozen=True)
class _State:
    """An assignment of bits."""

    weights: Mapping[str, int]
    maps: Mapping[str, int]


def parse_budget(text: str) -> Wanted:
    """A budget as ``build --budget`` takes it.

    >>> parse_budget("flash=64k,sqnr=25").flash
    65536
    """
    where, fix = f"budget {text!r}", "write it like flash=64k,ram=20k,sqnr=25 or flash=64k,accuracy=0.5"
    values: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key not in ("flash", "ram", "sqnr", "accuracy", "bits") or not value or key in values:
            raise GgdqError(f"{part.strip()!r} is not flash=, ram=, sqnr=, accuracy= or bits=, once each", where, fix)
        values[key] = value
    if "sqnr" in values and "accuracy" in values:
        raise GgdqError("asks for both SQNR and accuracy", where, "give one of them")
    try:
        sqnr, accuracy = (float(values[key]) if key in values else None for key in ("sqnr", "accuracy"))
        bits = int(values["bits"]) if "bits" in values else None
    except ValueError as error:
        raise GgdqError("has a value that is no number", where, fix) from error
    if any(value is not None and not math.isfinite(value) for value in (sqnr, accuracy)) or (accuracy or 0) < 0:
        raise GgdqError("has a value that makes no sense", where, fix)
    if bits not in (None, 8, 16):
        raise GgdqError(f"bits={bits}", where, "the longest bit length is 8 or 16")
    flash, ram = (parse_bytes(values[key]) if key in values else None for key in ("flash", "ram"))
    return Wanted(text, flash, ram, sqnr, accuracy, bits)


def bit_search(
    graph: Graph,
    calibration: Calibration,
    options: Options,
    board: Board,
    goal: str,
    wanted: Wanted,
    progress: Progress = SILENT,
) -> BitSearch:
    """What it takes to find the bit lengths for ``wanted`` on ``board``, planned for ``goal``; GgdqError without samples."""
    samples = 0 if calibration.drawn else len(next(iter(calibration.samples.values()), ()))
    if samples < _FEWEST_SAMPLES:
        raise GgdqError(
            f"{samples} calibration samples, and bit lengths are chosen by what they cost on samples",
            f"budget {wanted.text}",
            f"give at least {_FEWEST_SAMPLES} with --calib",
        )
    if wanted.accuracy is not None and calibration.labels is None:
        raise GgdqError(
            "no labels to tell the accuracy by", f"budget {wanted.text}", "add y to the samples, or give sqnr="
        )
    sensitivity = _sensitivity(graph, calibration, options, 8 if wanted.bits is None else wanted.bits, progress)
    nothing = Budget(None, None, board.title)
    return BitSearch(graph, calibration, options, board, goal, wanted, progress, sensitivity, nothing, nothing)


def _sensitivity(
    graph: Graph, calibration: Calibration, options: Options, longest: int, progress: Progress
) -> Sensitivity:
    progress.step(f"measuring what each tensor's bits are worth, up to {longest}")
    weights, maps = ([b for b in bits if b <= longest] for bits in (WEIGHT_BITS, MAP_BITS))
    return measure(graph, calibration, options, weights, maps)


@dataclass(frozen=True, eq=False)
class BitSearch:
    """A search that remembers what it has measured, whatever the limits."""

    graph: Graph
    calibration: Calibration
    options: Options
    board: Board
    goal: str
    wanted: Wanted
    progress: Progress
    sensitivity: Sensitivity
    limits: Budget
    given: Budget
    _qualities: dict[tuple[tuple[str, int], ...], Variant] = field(default_factory=dict)
    _plans: dict[tuple[tuple[str, int], ...], Plan] = field(default_factory=dict)

    def find(self, limits: Budget) -> Found:
        """The bit lengths within ``limits``.

        GgdqError with by how much it misses where nothing fits, or where nothing that fits reaches the wanted quality.
        """
        ram = flash = 0  # what the plan of the network takes beyond that of its sketch
        for _ in range(_TRIALS):
            search = replace(self, limits=limits.less(ram, flash), given=limits, _plans={})
            state, search = search.chosen()
            found, plan = search.found(state)
            drawn = search.plan(state)
            if not exceeds(plan, limits):
                break
            ram = max(ram, ram_bytes(plan) - ram_bytes(drawn))
            flash = max(flash + 1, plan.constant_bytes - drawn.constant_bytes)
        return found

    def chosen(self) -> tuple[_State, BitSearch]:
        """The assignment, and the search that found it, which may know longer bits than this one."""
        search, start = self, self.best_within()
        if self.wanted.sqnr_db is None and self.wanted.accuracy is None:
            return start, self
        if self.wanted.bits is None and self.missing(start) > 0:
            longer = _sensitivity(self.graph, self.calibration, self.options, 16, self.progress)
            search = replace(self, sensitivity=longer, _plans={})
            start = search.best_within()
        return search.least(start), search

    @cached_property
    def bare(self) -> Calibration:
        """The calibration without samples, for sketches: it remembers steps."""
        return replace(self.calibration, samples={})

    @cached_property
    def measurement(self) -> Measurement:
        """Weights are refined on three quarters of the samples; the last quarter judges, for accuracy all of them do."""
        samples, labels = self.calibration.samples, self.calibration.labels
        count = len(next(iter(samples.values())))
        refined = count - count // 4
        judges = DataSet(samples, labels)
        judges = judges if self.wanted.accuracy is not None else judges.slice(refined, count)
        few = replace(self.calibration, samples={name: x[:refined] for name, x in samples.items()})
        return Measurement(self.graph, few, judges)

    def plan(self, state: _State) -> Plan:
        """What the planner makes of an assignment."""
        key = _key(state)
        if key not in self._plans:
            network = sketch(self.graph, self.bare, with_bits(self.options, state.weights, state.maps))
            self._plans[key] = best_plan(network, self.board, self.goal, self.limits)
        return self._plans[key]

    def quality(self, state: _State) -> Variant:
        """The end-to-end quality of an assignment, measured."""
        key = _key(state)
        if key not in self._qualities:
            self.progress.step(f"measuring the network with other bit lengths, {len(self._qualities) + 1}")
            measurement = self.measurement
            options = with_bits(self.options, state.weights, state.maps)
            logits = measurement.logits(quantize(self.graph, measurement.calibration, options))
            self._qualities[key] = measurement.judged("", logits)
        return self._qualities[key]

    def missing(self, state: _State) -> float:
        """By how much, in dB or points, the quality is below what is wanted; not positive where it is reached."""
        quality = self.quality(state)
        if self.wanted.sqnr_db is not None:
            return self.wanted.sqnr_db - quality.sqnr_db
        assert self.wanted.accuracy is not None
        lost = 100 * ((self.measurement.float_accuracy or 0.0) - (quality.accuracy or 0.0))
        return lost - self.wanted.accuracy - 1e-9

    @cached_property
    def narrowings(self) -> list[Mapping[str, int]]:
        """Bits of the feature maps, from the longest on, the arena a little smaller each time.

        Where the arena is fullest, the map gets narrower that costs the least noise for the bytes that its buffer frees.
        """
        noise = self.sensitivity.maps
        maps = {name: max(noise[name]) for name in own_formats(self.graph, self.calibration)}
        weights = {name: max(choices) for name, choices in self.sensitivity.weights.items()}
        found: list[Mapping[str, int]] = [maps]
        least = self.plan(_State(weights, maps)).arena.size
        while True:
            plan = self.plan(_State(weights, maps))
            step, alive = plan.arena.fullest
            height = sum(buffer.size for buffer in alive)
            moves = []
            for name in {self._owner(buffer.name) for buffer in alive} & maps.keys():
                for bits in (b for b in noise[name] if b < maps[name]):
                    arena = self.plan(_State(weights, {**maps, name: bits})).arena
                    freed = height - sum(b.size for b in arena.buffers if b.first <= step <= b.last)
                    if freed > 0:
                        moves.append(((noise[name][bits] - noise[name][maps[name]]) / freed, name, bits))
            if not moves:
                return found
            _, name, bits = min(moves)
            maps = {**maps, name: bits}
            size = self.plan(_State(weights, maps)).arena.size
            if size < least:
                least = size
                found.append(maps)

    def _owner(self, name: str) -> str:
        """The node whose format a buffer's content has."""
        while name in self.graph.by_name and self.graph.by_name[name].operator.keeps_format:
            name = self.graph.by_name[name].inputs[0]
        return name

    def choices(self, most: _State | None = None) -> dict[str, list[Choice]]:
        """What each layer's weights, and the feature maps together, may be: no longer than in ``most``."""
        flash, ram = (limit or 1 for limit in (self.limits.flash, self.limits.ram))
        result: dict[str, list[Choice]] = {}
        for name, noise in self.sensitivity.weights.items():
            elements = self.graph.by_name[name].weights["kernel"].size
            top = max(noise) if most is None else most.weights[name]
            result[name] = [Choice(bits, elements * bits / 8 / flash, noise[bits]) for bits in noise if bits <= top]
        weights = {name: max(choices) for name, choices in self.sensitivity.weights.items()}
        first = 0 if most is None else self.narrowings.index(most.maps)
        result[_MAPS] = [
            Choice(
                first + i,
                self.plan(_State(weights, maps)).arena.size / ram,
                sum(self.sensitivity.maps[name][bits] for name, bits in maps.items()),
            )
            for i, maps in enumerate(self.narrowings[first:])
        ]
        return result

    def best_within(self) -> _State:
        """The assignment of the least noise that fits the limits; GgdqError where none does."""
        every = self.choices()
        weights = [dict(state) for state in path({name: some for name, some in every.items() if name != _MAPS})]
        self.progress.step("looking for what fits")
        fits_flash = _first(
            len(weights),
            lambda i: not exceeds(self.plan(_State(weights[i], self.narrowings[-1])), replace(self.limits, ram=None)),
        )
        if fits_flash is not None:
            chosen = weights[fits_flash]
            maps = _first(
                len(self.narrowings),
                lambda i: not exceeds(self.plan(_State(chosen, self.narrowings[i])), replace(self.limits, flash=None)),
            )
            if maps is not None:
                return _State(chosen, self.narrowings[maps])
        narrowest = _State(weights[-1], self.narrowings[-1])
        network = quantize(self.graph, self.calibration, with_bits(self.options, narrowest.weights, narrowest.maps))
        fitting_plan(network, self.board, self.goal, self.given)  # says what is too large, and by how much
        return narrowest

    def least(self, start: _State) -> _State:
        """The assignment of the least memory that keeps the wanted quality, from ``start`` on down."""
        self._check_reached(start)
        states = list(self._down(start))
        reached = _first(len(states), lambda i: self.missing(states[-1 - i]) <= 0)
        return start if reached is None else states[-1 - reached]

    def _down(self, start: _State) -> Iterator[_State]:
        for chosen in path(self.choices(start)):
            maps = self.narrowings[chosen.pop(_MAPS)]
            yield _State(chosen, maps)

    def _check_reached(self, state: _State) -> None:
        missing = self.missing(state)
        if missing <= 0:
            return
        plan = self.plan(state)
        unit = "dB" if self.wanted.sqnr_db is not None else "points of accuracy"
        limit = "the bit lengths, which are the longest there are"
        if any(bits < max(self.sensitivity.weights[name]) for name, bits in state.weights.items()):
            limit = f"the flash of {self.limits.flash} bytes, of which constants take {plan.constant_bytes}"
        elif any(bits < max(self.sensitivity.maps[name]) for name, bits in state.maps.items()):
            limit = f"the RAM of {self.limits.ram} bytes, of which {ram_bytes(plan)} are taken"
        raise GgdqError(
            f"the best there is misses what is wanted by {missing:.2f} {unit}; what limits it is {limit}",
            f"budget {self.wanted.text}",
            "allow more memory, or ask for less",
        )

    def found(self, state: _State) -> tuple[Found, Plan]:
        """The network of an assignment, weights refined on all samples, and what the planner makes of it."""
        quality = self.quality(state)
        network = quantize(self.graph, self.calibration, with_bits(self.options, state.weights, state.maps))
        plan = best_plan(network, self.board, self.goal, self.limits)
        told = f"found for {self.wanted.text}: SQNR {quality.sqnr_db:.1f} dB"
        if quality.accuracy is not None:
            told += f", accuracy {quality.accuracy:.1%} (float {self.measurement.float_accuracy or 0:.1%})"
        told += f" on {len(self.measurement.held_out)} calibration samples"
        told += f"; constants {plan.constant_bytes} bytes, arena {plan.arena.size} bytes"
        return Found(network, told), plan


def _key(state: _State) -> tuple[tuple[str, int], ...]:
    return (*state.weights.items(), ("", 0), *state.maps.items())


def _first(count: int, holds: Callable[[int], bool]) -> int | None:
    """The first of ``count`` numbers from 0 on for which it holds, where it holds for all after the first; None: for none."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low if low < count else None
