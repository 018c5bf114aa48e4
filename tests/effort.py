"""How many examples do tests draw? A quarter in every run of the tests, all in a campaign."""

from __future__ import annotations

import os

CAMPAIGN = bool(os.environ.get("GGDQ_RANDOM"))


def drawn(count: int) -> int:
    """``count`` in a campaign, which draws new cases each time (GGDQ_RANDOM=1); a quarter of them, always the same, else."""
    return count if CAMPAIGN else -(-count // 4)
