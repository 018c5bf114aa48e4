"""How does a network's C run in a browser? Compiled to WebAssembly, by the clang that is there."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ggdq_mcu import resources
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.local_core import cache
from ggdq_mcu.scratch import Scratch

# -fno-builtin: no loop of string.c may become a call of the function that it is in.
_FLAGS = ("-std=c11", "-O2", "-ffreestanding", "-fno-builtin", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all")
_SECONDS = 300


def compiler() -> list[str] | None:
    """The command line that compiles and links C for WebAssembly; None where there is no compiler for it.

    The ``ziglang`` package of PyPI (extra ``compiler``), else clang with LLVM's linker wasm-ld.
    """
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-I", "-m", "ziglang", "cc", "-target", "wasm32-freestanding"]
    clang, linker = shutil.which("clang"), shutil.which("wasm-ld")
    return [clang, "--target=wasm32"] if clang and linker else None


def compile_webassembly(sources: Mapping[str, str], exports: Sequence[str]) -> bytes | None:
    """The module that the C files ``sources`` (text by file name) make, with the functions ``exports``.

    None where there is no compiler. The same sources are compiled once and kept in the cache. GgdqError where the compiler
    fails.
    """
    line = compiler()
    if line is None:
        return None
    helpers = resources.root("templates") / "freestanding"
    own = {path.name: path.read_text(encoding="utf-8") for path in sorted(helpers.iterdir())}
    parts = [*line[1:], *_FLAGS, *exports, *(f"{name}\n{text}" for name, text in sorted({**own, **sources}.items()))]
    kept = cache() / "webassembly" / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.wasm"
    if kept.is_file():
        return kept.read_bytes()
    with Scratch("webassembly") as folder:
        module = _compiled(line, {**own, **sources}, exports, folder)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_name(f"{kept.name}.{secrets.token_hex(4)}")
        fresh.write_bytes(module)
        fresh.replace(kept)
    except OSError:
        return module  # a cache that cannot be written saves no time, and does no harm
    return module


def _compiled(line: Sequence[str], sources: Mapping[str, str], exports: Sequence[str], folder: Path) -> bytes:
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = [str(folder / name) for name in sources if name.endswith(".c")]
    out = folder / "network.wasm"
    exported = [f"-Wl,--export={name}" for name in exports]
    whole = [*line, *_FLAGS, *exported, f"-I{folder}", *files, "-o", str(out)]
    done = subprocess.run(
        whole,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(cache() / "zig"), "ZIG_LOCAL_CACHE_DIR": str(folder / "zig")},
    )
    if done.returncode != 0:
        errors = [text for text in done.stderr.splitlines() if "error" in text] or ["no output"]
        raise GgdqError(f"the compiler for WebAssembly fails: {errors[0]}", line[0], "see ggdq-mcu doctor")
    return out.read_bytes()
