"""Which kernels can compute a layer on a core? The operator's own, in plain C, and those that are made for its kind of core.

A module below this package names, in ``KERNELS``, the operators that it has kernels for. Nothing else lists them: neither an
operator's file nor the planner knows one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer

#: From an operator of its type, a layer with it and a core, the kernels that the core may use.
Offer = Callable[[Any, QuantizedLayer, Core], Iterable[Kernel]]


def kernels_of(layer: QuantizedLayer, core: Core) -> list[Kernel]:
    """The kernels that may compute ``layer`` on ``core``; the portable one, which always may, comes first."""
    operator = layer.operator
    offers = _offers().get(type(operator), ())
    return [*operator.kernels(layer), *(kernel for offer in offers for kernel in offer(operator, layer, core))]


@cache
def _offers() -> Mapping[type[Operator], Sequence[Offer]]:
    """What offers kernels for operators of each type, in the order of the modules' names."""
    found: dict[type[Operator], list[Offer]] = {}
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        for operator, offer in getattr(importlib.import_module(module.name), "KERNELS", {}).items():
            found.setdefault(operator, []).append(offer)
    return found
