"""What is installed, what is missing, and how does one get it?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects import local_core

_PYTHON = (3, 11)


@dataclass(frozen=True)
class Check:
    """One thing that the tools use: is it there, in which version, what for, and how to get it."""

    name: str
    ok: bool
    version: str
    used_for: str
    required: bool
    fix: str


@dataclass(frozen=True)
class Diagnosis:
    """All checks; ``ok`` where nothing that is required is missing."""

    ok: bool
    checks: tuple[Check, ...]


_REINSTALL = "install the package again: pip install ggdq-mcu"
_COMPILER_FIX = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
_RISCV_FIX = "apt-get install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"
_PACKAGES = (
    ("numpy", "everything", True, _REINSTALL),
    ("h5py", "reading .h5 and .keras models", True, _REINSTALL),
    ("jinja2", "generating C", True, _REINSTALL),
    ("click", "the command line", True, _REINSTALL),
    ("rich", "progress on the terminal", True, _REINSTALL),
    ("platformio", "compiling and flashing the firmware", True, _REINSTALL),
    ("unicorn", "the emulated board", True, _REINSTALL),
    ("capstone", "the estimate of cycles, the stack of RISC-V code", True, _REINSTALL),
    ("pyelftools", "sizes and symbols of the firmware", True, _REINSTALL),
    ("pyserial", "real boards on a serial port", True, _REINSTALL),
    ("scons", "compiling without PlatformIO's registry (GGDQ_PIO=local)", False, _REINSTALL),
    ("tflite", "reading .tflite models", False, "pip install 'ggdq-mcu[tflite]'"),
    ("onnx", "reading .onnx models", False, "pip install 'ggdq-mcu[onnx]'"),
    ("tensorflow", "SavedModel folders and live keras.Model objects", False, "pip install 'ggdq-mcu[tensorflow]'"),
    ("torch", "samples from a DataLoader; exporting your model to ONNX", False, "pip install torch"),
    ("dask", "build --workers", False, "pip install 'ggdq-mcu[dask]'"),
    ("ziglang", "the network in report.html", False, "pip install 'ggdq-mcu[compiler]'"),
    ("matplotlib", "analyze --plots", False, "pip install 'ggdq-mcu[plots]'"),
)
_VARIABLES = (
    ("GGDQ_PIO", "local: compile with what is installed, not with PlatformIO's registry"),
    ("GGDQ_CACHE", "the folder of what can be made again"),
)


def diagnose() -> Diagnosis:
    """Look at everything that any command uses."""
    checks = (
        _python(),
        *(_package(*package) for package in _PACKAGES),
        _program("cc", "the host build: verify --on host", True, "apt-get install gcc"),
        _program("arm-none-eabi-gcc", "compiling with GGDQ_PIO=local", _local(), _COMPILER_FIX),
        _program("riscv64-unknown-elf-gcc", "the same for RISC-V", False, _RISCV_FIX),
        _program("qemu-system-arm", "emulated boards with a Cortex-M55", False, "apt-get install qemu-system-arm"),
        _setting("PlatformIO packages", "where compilers come from", _registry, "unset GGDQ_PIO or set it to local"),
        _reached(),
        *(_variable(name, used_for) for name, used_for in _VARIABLES),
        _setting("cache folder", "what can be made again", _cache, "set GGDQ_CACHE to a folder that can be written"),
    )
    return Diagnosis(all(check.ok for check in checks if check.required), checks)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= _PYTHON, version, "everything", True, "install Python 3.11 or newer")


def _package(name: str, used_for: str, required: bool, fix: str) -> Check:
    try:
        return Check(name, True, metadata.version(name), used_for, required, fix)
    except metadata.PackageNotFoundError:
        return Check(name, False, "", used_for, required, fix)


def _program(name: str, used_for: str, required: bool, fix: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check(name, False, "", used_for, required, fix)
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\d+(?:\.\d+)+", answer.stdout)
    return Check(name, answer.returncode == 0, version[0] if version else "", used_for, required, fix)


def _setting(name: str, used_for: str, look: Callable[[], str], fix: str) -> Check:
    try:
        return Check(name, True, look(), used_for, True, fix)
    except (GgdqError, OSError) as error:
        return Check(name, False, str(error), used_for, True, fix)


def _reached() -> Check:
    """Does PlatformIO's registry answer? Needed unless the compilers of this computer are used."""
    used_for, fix = "fetching compilers at the first build", "check the proxy (HTTPS_PROXY), or set GGDQ_PIO=local"
    if _local():
        return Check("registry", True, "not asked: GGDQ_PIO=local", used_for, False, fix)
    there = local_core.registry_answers()
    told = "answers" if there else f"no answer within {local_core.SECONDS} s"
    return Check("registry", there, told, used_for, not local_core.is_chosen(), fix)


def _variable(name: str, used_for: str) -> Check:
    value = os.environ.get(name)
    return Check(name, True, "not set" if value is None else value, used_for, False, "")


def _local() -> bool:
    return os.environ.get("GGDQ_PIO") == "local"


def _registry() -> str:
    if local_core.fell_back():
        return "this computer's compiler, as the registry does not answer"
    return "this computer's compiler (GGDQ_PIO=local)" if local_core.is_chosen() else "PlatformIO's registry"


def _cache() -> str:
    folder = local_core.cache()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise GgdqError("cannot be written", str(folder))
    return str(folder)
