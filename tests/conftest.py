"""Fixtures that tests of several parts use."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

import ggdq_mcu
from effort import CAMPAIGN, drawn
from once import Once, computed_once

# A run of the tests says the same twice; GGDQ_RANDOM=1 (and the nightly run) looks for new cases instead.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=drawn(100))
settings.register_profile("random", deadline=None)
settings.load_profile("random" if CAMPAIGN else "repeatable")

# Hypothesis also draws the constants of modules that are loaded: load them all, or cases depend on the order of tests.
for module in pkgutil.walk_packages(ggdq_mcu.__path__, "ggdq_mcu."):
    importlib.import_module(module.name)

ABSENT = "shared data absent"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared models and data: ``GGDQ_SHARED``, else ``shared`` beside the repository."""
    folder = Path(os.environ.get("GGDQ_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"{ABSENT}: no {folder}; set GGDQ_SHARED")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Once]:
    """Calibrations, quantized networks and compiled objects of this run, by content."""
    base = tmp_path_factory.getbasetemp()
    with computed_once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once") as once:
        yield once


@pytest.fixture(autouse=True)
def _anew(request: pytest.FixtureRequest, _once: Once) -> Iterator[None]:
    _once.anew = request.node.get_closest_marker("anew") is not None
    yield
    _once.anew = False


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    """Keras, started once in a process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # With oneDNN, TensorFlow 2.21 gives garbage for a convolution with a kernel of 1x2 and strides of 1x3.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import keras
    from absl import logging

    logging.set_verbosity(logging.ERROR)  # that HDF5 is a legacy format is known here
    return keras


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use Keras run in one worker, because it takes seconds to start."""
    for item in items:
        if "keras" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("keras"))
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:keras"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many tests did not run for want of the shared data."""
    skipped = terminalreporter.stats.get("skipped", [])
    absent = [report for report in skipped if ABSENT in str(report.longrepr)]
    if absent:
        terminalreporter.write_line(f"{ABSENT}: {len(absent)} tests not run")
