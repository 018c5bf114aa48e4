"""ggdq-mcu: a trained CNN in, bit-exact fixed-point firmware out.

>>> import ggdq_mcu
>>> model = ggdq_mcu.quantize("examples/digits.h5", "examples/digits.npz")
>>> model.evaluate("examples/digits_test.npz").accuracy > 0.97
True

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.version import __version__

if TYPE_CHECKING:
    from ggdq_mcu.commands import analyze, check, evaluate, flash, profile, verify
    from ggdq_mcu.model import QuantizedModel, load, quantize

__all__ = [
    "GgdqError",
    "QuantizedModel",
    "__version__",
    "analyze",
    "check",
    "evaluate",
    "flash",
    "load",
    "profile",
    "quantize",
    "verify",
]
_MODEL = ("QuantizedModel", "load", "quantize")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{'model' if name in _MODEL else 'commands'}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
