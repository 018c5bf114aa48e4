"""Generated networks with a fault in them."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path


def spoil_weights(folder: Path, layer: str) -> None:
    """Changes all weights of one layer in the generated C."""
    (file,) = folder.glob("ggdq_*_weights.c")
    text = file.read_text()
    changed = re.sub(rf"(_{layer}_weights\[\d+\] = \{{\n)(.*?)(\n\}};)", _negated, text, flags=re.DOTALL)
    assert changed != text
    file.write_text(changed)
    later = time.time() + 5  # a clock of whole seconds must see the change too
    os.utime(file, (later, later))


def _negated(match: re.Match[str]) -> str:
    return match[1] + re.sub(r"-?\d+", lambda number: str(int(number[0]) ^ 1), match[2]) + match[3]
