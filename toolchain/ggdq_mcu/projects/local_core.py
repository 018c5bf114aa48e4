"""How does PlatformIO build where its registry cannot be reached? With a core folder of what is installed.

SCons comes from PyPI, the compilers from the system, and ``ststm32`` and ``native`` are stand-ins
of ours (templates/platforms), like ``sifive``. Chosen by the setting GGDQ_PIO=local, and where nothing is set, no compiler was
fetched before and the registry does not answer: PlatformIO itself would wait a minute for each package, and fail.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from ggdq_mcu import resources
from ggdq_mcu.errors import GgdqError

SECONDS = 5  # to wait for the registry
_OWNER = "platformio"
_CONTENT = "content.json"  # the files of a core folder, and what is in them
#: The platforms that there is a stand-in for, and what the names of each one's tools begin with.
PLATFORMS = {"native": "", "ststm32": "arm-none-eabi-", "sifive": "riscv64-unknown-elf-"}
_TOOLCHAINS = {"arm-none-eabi-": "toolchain-gccarmnoneeabi", "riscv64-unknown-elf-": "toolchain-riscv"}


def is_chosen() -> bool:
    """Is the local core folder used: because the user asks for it, or because nothing else is to be had?"""
    setting = os.environ.get("GGDQ_PIO", "")
    if setting not in ("", "local", "online"):
        fix = "set it to 'local' or 'online', or leave it unset: PlatformIO's registry, where it answers"
        raise GgdqError(f"GGDQ_PIO is '{setting}'", fix=fix)
    return setting == "local" or fell_back()


def fell_back() -> bool:
    """Is the local core folder used although nobody asked for it, as PlatformIO's registry does not answer?"""
    return not os.environ.get("GGDQ_PIO") and _nothing_else()


@functools.cache
def _nothing_else() -> bool:
    """A compiler is here, PlatformIO has fetched none, and its registry does not answer: asked once in a process."""
    core = Path(os.environ.get("PLATFORMIO_CORE_DIR") or Path.home() / ".platformio")
    fetched = any(core.glob("packages/toolchain-*"))
    here = any(shutil.which(f"{tools}gcc") for tools in _TOOLCHAINS)
    return here and not fetched and not registry_answers()


def registry_answers() -> bool:
    """Does one of the hosts of PlatformIO's registry answer, through the proxy that is set, within SECONDS?"""
    from platformio import __registry_mirror_hosts__ as hosts

    for host in hosts[:1]:
        try:
            with urllib.request.urlopen(f"https://{host}/", timeout=SECONDS):
                return True
        except urllib.error.HTTPError:
            return True  # that is an answer
        except (OSError, ValueError):
            continue
    return False


def environment() -> dict[str, str]:
    """The environment variables for PlatformIO: the user's, and in the local mode the core folder."""
    variables = {
        **os.environ,
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
    }
    if is_chosen():
        variables["PLATFORMIO_CORE_DIR"] = str(prepare())
    return variables


def cache() -> Path:
    """Where this package keeps what it can make again: $GGDQ_CACHE, else in the user's cache folder."""
    if "GGDQ_CACHE" in os.environ:
        return Path(os.environ["GGDQ_CACHE"]).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ggdq-mcu"


def prepare() -> Path:
    """The core folder, filled at the first call and whenever what it is made of has changed."""
    compilers = {tools: found for tools in _TOOLCHAINS if (found := shutil.which(f"{tools}gcc"))}
    platforms = resources.root("templates") / "platforms"
    versions = {tools: _gcc_version(compiler) for tools, compiler in compilers.items()}
    scons = metadata.version("scons")
    parts = [scons, *versions.values(), *compilers.values(), str(platforms)]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    core = cache() / f"platformio-{key}"
    if _is_whole(core):
        return core
    shutil.rmtree(core, ignore_errors=True)
    fresh = core.with_name(f"{core.name}.{secrets.token_hex(4)}")
    try:
        _fill(fresh, platforms, scons, {tools: (compilers[tools], versions[tools]) for tools in compilers})
        fresh.rename(core)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if not _is_whole(core):  # another process may have been first
            what = f"cannot make the PlatformIO folder: {error.strerror}"
            raise GgdqError(what, str(core), "set GGDQ_CACHE") from error
    return core


def _is_whole(core: Path) -> bool:
    """Is all there that a folder was filled with, and nothing damaged?"""
    try:
        listed = json.loads((core / _CONTENT).read_text())
        return all(_digest(core / name) == digest for name, digest in listed.items())
    except (OSError, ValueError, AttributeError):
        return False


def _digest(path: Path) -> str:
    """What a file holds, or where a link points to a file that exists."""
    if path.is_symlink():
        return str(path.readlink()) if path.exists() else ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fill(core: Path, platforms: Path, scons: str, compilers: Mapping[str, tuple[str, str]]) -> None:
    """``compilers``: path and version by what the names of their tools begin with."""
    _package(core, "tool-scons", _platformio_version(scons, 4))
    script = "import sys\n\nfrom SCons.Script.Main import main\n\nsys.exit(main())\n"
    (core / "packages" / "tool-scons" / "scons.py").write_text(script)
    for tools, (compiler, version) in compilers.items():
        toolchain = _package(core, _TOOLCHAINS[tools], _platformio_version(version, 1))
        (toolchain / "bin").mkdir()
        for tool in sorted(Path(compiler).parent.glob(f"{tools}*")):
            (toolchain / "bin" / tool.name).symlink_to(tool)
    (core / "platforms").mkdir()
    for name in PLATFORMS:
        link = {"cwd": str(platforms), "spec": _spec(name) | {"uri": f"symlink://{platforms / name}"}}
        (core / "platforms" / f"{name}.pio-link").write_text(json.dumps(link))
    files = [path for path in sorted(core.rglob("*")) if path.is_symlink() or path.is_file()]
    (core / _CONTENT).write_text(json.dumps({str(path.relative_to(core)): _digest(path) for path in files}))


def _package(core: Path, name: str, version: str) -> Path:
    folder = core / "packages" / name
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": version, "system": "*"}))
    record = {"type": "tool", "name": name, "version": version, "spec": _spec(name)}
    (folder / ".piopm").write_text(json.dumps(record))
    (folder / ".piokeep").touch()
    return folder


def _spec(name: str) -> dict[str, str | None]:
    return {"owner": _OWNER, "id": None, "name": name, "requirements": None, "uri": None}


def _platformio_version(version: str, major: int) -> str:
    """PlatformIO's number for a tool: SCons 4.11.1 is 4.41101.0, GCC 12.2.1 is 1.120201.0."""
    first, second, third = (int(part) for part in re.findall(r"\d+", version)[:3])
    return f"{major}.{first}{second:02d}{third:02d}.0"


def _gcc_version(compiler: str) -> str:
    answer = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, check=True)
    return answer.stdout.strip()
