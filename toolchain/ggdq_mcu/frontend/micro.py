"""The front end of TensorFlow Lite Micro's micro_speech, of microWakeWord and ESPHome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from ggdq_mcu.frontend.features import INPUT, Features
from ggdq_mcu.graph import Node
from ggdq_mcu.operators import micro_frontend


@dataclass(frozen=True)
class MicroFrontend(Features):
    """Features equal to the bit to those of the package pymicro-features, whose parameters are the defaults.

    ``bands`` from ``lowest`` to ``highest`` Hz; noise is estimated with the factors ``even`` and ``odd`` (by channel) and
    taken away, of which ``least`` of the signal stays; gains (noise + ``offset``)^-``strength``; 64 ln(value) times ``unit``.
    """

    bands: int = 40
    lowest: float = 125.0
    highest: float = 7500.0
    even: float = 0.025
    odd: float = 0.06
    least: float = 0.05
    strength: float = 0.95
    offset: float = 80.0
    unit: float = 10.0 / 256.0

    @property
    def width(self) -> int:
        return self.bands

    def operator(self, carried: bool = False) -> micro_frontend.MicroFrontend:
        """The operator; ``carried``: noise and samples go on from one inference to the next."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return micro_frontend.MicroFrontend(channels=own.pop("bands"), carried=carried, **own)

    def chain(self, samples: int) -> Sequence[Node]:
        return [Node("features", self.operator(), (INPUT,))]
