"""What does the compiler make of a project: the firmware, its sizes, or the first error?"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects import local_core


@dataclass(frozen=True)
class Firmware:
    """A linked firmware and its sizes in bytes; ``stack`` is what the linker script sets aside."""

    elf: Path
    code: int
    rodata: int
    data: int
    bss: int
    stack: int

    @property
    def flash(self) -> int:
        """Bytes of flash: code, constants, and the initial values of variables."""
        return self.code + self.rodata + self.data

    @property
    def ram(self) -> int:
        """Bytes of RAM, the stack included."""
        return self.data + self.bss + self.stack


def compile_project(project: Path, environment: str | None = None) -> Firmware:
    """Compiles a project with PlatformIO (``environment``: the project's default) and measures the firmware.

    Raises a GgdqError that carries the compiler's first error.
    """
    name = environment or _default_environment(project)
    settings = _settings(project)
    platform = settings.get(f"env:{name.removesuffix('_layers')}", "platform", fallback="")
    if local_core.is_chosen() and platform:
        how, fix = "GGDQ_PIO=local", "unset GGDQ_PIO to compile for this board, or build with --no-compile"
        if local_core.fell_back():
            how = "PlatformIO's registry does not answer, and this computer alone"
            fix = "check the proxy (HTTPS_PROXY), or build with --no-compile"
        framework = settings.get(f"env:{name.removesuffix('_layers')}", "framework", fallback="")
        if framework:
            raise GgdqError(f"{how} has no framework {framework!r}", str(project), fix)
        if platform not in local_core.PLATFORMS:
            raise GgdqError(f"{how} has no platform {platform!r}", str(project), fix)
        tools = local_core.PLATFORMS[platform]
        if tools and shutil.which(f"{tools}gcc") is None:
            raise GgdqError(f"{how} needs {tools}gcc", str(project), f"apt-get install gcc-{tools.rstrip('-')}")
    _platformio(project, "run", "-e", name)
    return firmware_of(project, name)


def firmware_of(project: Path, environment: str | None = None) -> Firmware:
    """The firmware that was compiled before; a GgdqError where there is none."""
    name = environment or _default_environment(project)
    for program in ("firmware.elf", "program"):
        elf = project / ".pio" / "build" / name / program
        if elf.is_file():
            return measure(elf)
    raise GgdqError("there is no compiled firmware", str(project), "compile it: pio run")


def upload(project: Path, port: str | None = None, environment: str | None = None) -> None:
    """Compiles and flashes an environment, by default the project's default."""
    where = ["--upload-port", port] if port else []
    _platformio(project, "run", "-e", environment or _default_environment(project), "-t", "upload", *where)


def test_native(project: Path) -> str:
    """Runs the project's own test on this computer; its output. Raises a GgdqError where it fails."""
    return _platformio(project, "test", "-e", "native")


def measure(elf: Path) -> Firmware:
    """Sizes of a linked program, from its sections."""
    sizes = dict.fromkeys(("code", "rodata", "data", "bss", "stack"), 0)
    with elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            flags = section["sh_flags"]
            if not flags & SH_FLAGS.SHF_ALLOC:
                continue
            if section.name == ".stack":
                kind = "stack"
            elif section["sh_type"] == "SHT_NOBITS":
                kind = "bss"
            elif flags & SH_FLAGS.SHF_EXECINSTR:
                kind = "code"
            else:
                kind = "data" if flags & SH_FLAGS.SHF_WRITE else "rodata"
            sizes[kind] += section["sh_size"]
    return Firmware(elf, **sizes)


def _default_environment(project: Path) -> str:
    settings = _settings(project)
    if not settings.has_option("platformio", "default_envs"):
        raise GgdqError("not a project: no platformio.ini in it", str(project), "make one with ggdq-mcu build")
    return settings.get("platformio", "default_envs").strip()


def _settings(project: Path) -> configparser.ConfigParser:
    settings = configparser.ConfigParser(inline_comment_prefixes=None, interpolation=None)
    settings.read(project / "platformio.ini", encoding="utf-8")
    return settings


def _platformio(project: Path, command: str, *arguments: str) -> str:
    # -I: PlatformIO must not import what happens to lie in the current folder or on PYTHONPATH.
    line = [sys.executable, "-I", "-m", "platformio", command, "-d", str(project), *arguments]
    with subprocess.Popen(
        line,
        env=local_core.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            _end(process)
            raise
    if process.returncode != 0:
        what = f"PlatformIO failed: {_first_error(output)}"
        raise GgdqError(what, str(project), f"see pio {command} -d {project}")
    return output


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a program that has a session of its own, with the compilers that it started, which would write on."""
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


def _first_error(output: str) -> str:
    """The line of a build log that says what went wrong: compiler, linker, PlatformIO, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for pattern in (
        r":\d+: (fatal )?error: ",
        r"overflowed by|undefined reference|cannot find -l",
        r"\berror: ",
        r"\w*Error\b|UnknownPackage|^\*\*\* ",
    ):
        for line in lines:
            if re.search(pattern, line):
                return line
    return lines[-1] if lines else "no output"
