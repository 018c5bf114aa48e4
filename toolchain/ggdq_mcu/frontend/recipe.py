"""How is a front end named on the command line? NAME,key=value,...: the fields of its class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.frontend.features import Features
from ggdq_mcu.frontend.micro import MicroFrontend
from ggdq_mcu.frontend.spectrum import MFCC, LogMel

RECIPES: Mapping[str, type[Features]] = {
    "log-mel": LogMel,
    "mfcc": MFCC,
    "micro-frontend": MicroFrontend,
}


def parse(text: str) -> Features:
    """The front end that a text names.

    >>> parse("micro-frontend,bands=32").width
    32
    """
    where = f"front end {text[:80]!r}"
    name, *settings = text.split(",")
    if name not in RECIPES:
        raise GgdqError("is not known", where, f"known: {', '.join(RECIPES)}")
    kind = RECIPES[name]
    known = {one.name: one.default for one in fields(kind)}
    given: dict[str, Any] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in known:
            raise GgdqError(f"has no parameter {key!r}", where, f"parameters of {name}: {', '.join(known)}")
        given[key] = _value(value, known[key], where, key)
    return kind(**given)


def _value(text: str, default: Any, where: str, key: str) -> Any:
    """The text as a value of the default's type."""
    try:
        if isinstance(default, bool):
            return {"yes": True, "no": False}[text]
        value = type(default)(text)
    except (ValueError, KeyError) as error:
        kind = "yes or no" if isinstance(default, bool) else f"a number like {default}"
        raise GgdqError(f"{key} = {text[:40]!r} is not {kind}", where) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise GgdqError(f"{key} = {text[:40]!r} is not finite", where)
    return value
