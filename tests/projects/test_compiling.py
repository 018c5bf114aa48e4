"""The generated project builds with PlatformIO, with make, and tests itself; failures are one line."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest
from firmware_fixtures import BOARDS, Built, samples

from ggdq_mcu import boards, projects
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects import compiling, local_core

NUCLEO = boards.load("nucleo")
LIBC = {"riscv": ["--specs=picolibc.specs"]}  # Debian's compiler for RISC-V comes without one
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]


@pytest.mark.parametrize("board", BOARDS)
def test_the_firmware_around_a_network_is_small(built: Callable[..., Built], board: str) -> None:
    firmware = built(board).firmware
    assert 1000 < firmware.code + firmware.rodata < 5500  # chunks and time-outs of the protocol take about 600
    assert firmware.stack == 2048
    assert firmware.ram - firmware.stack < 200


@pytest.mark.parametrize("board", BOARDS)
def test_the_firmware_compiles_without_a_warning(built: Callable[..., Built], board: str, tmp_path: Path) -> None:
    project = built(board)
    folder, library = project.folder, project.folder / "lib" / "ggdq_tiny" / "src"
    sources = [path for part in ("app", "board") for path in (folder / "src" / part).glob("*.c")]
    includes = [f"-I{path}" for path in (folder / "include", folder / "src" / "app", library)]
    for defines in ([], ["-DGGDQ_TRACE"]):
        core = project.board.core
        line = [f"{core.tools}gcc", *core.flags, *LIBC.get(core.family, ()), "-O2", *STRICT, *defines, *includes]
        subprocess.run([*line, "-c", *map(str, sources)], cwd=tmp_path, check=True)


def test_several_inputs_and_outputs_compile_without_a_warning(built: Callable[..., Built]) -> None:
    assert built("nucleo", "pair").firmware.code > 1000


def test_the_makefile_gives_the_same_firmware(built: Callable[..., Built], tmp_path: Path) -> None:
    project = built("nucleo")
    copy = tmp_path / "copy"
    shutil.copytree(project.folder, copy, ignore=shutil.ignore_patterns(".pio"))
    subprocess.run(["make", "-s", "firmware.elf", "native"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
    for elf, image in ((copy / "firmware.elf", "made.bin"), (project.firmware.elf, "pio.bin")):
        subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", str(elf), str(tmp_path / image)], check=True)
    assert (tmp_path / "made.bin").read_bytes() == (tmp_path / "pio.bin").read_bytes()


def test_the_native_test_passes_on_right_outputs(built: Callable[..., Built]) -> None:
    assert "3 test cases: 3 succeeded" in compiling.test_native(built("nucleo").folder)


def test_the_native_test_fails_on_one_wrong_output(local_platformio: None, tmp_path: Path) -> None:
    (x, (y,)), *rest = samples(2)
    wrong = y.copy()
    wrong[1] ^= 1
    projects.write(tmp_path, NUCLEO, networks.tiny(), [(x, (wrong,)), *rest])
    with pytest.raises(GgdqError):
        compiling.test_native(tmp_path)


def test_the_first_error_of_the_compiler_is_told_in_one_line(local_platformio: None, tmp_path: Path) -> None:
    files = networks.tiny()
    files["lib/ggdq_tiny/src/ggdq_tiny.c"] = str(files["lib/ggdq_tiny/src/ggdq_tiny.c"]) + "nonsense\n"
    projects.write(tmp_path, NUCLEO, files)
    with pytest.raises(GgdqError, match=r"ggdq_tiny\.c:\d+:\d+: error: ") as caught:
        projects.compile_project(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_network_that_does_not_fit_is_told_in_one_line(local_platformio: None, tmp_path: Path) -> None:
    files = networks.tiny()
    files["lib/ggdq_tiny/src/ggdq_tiny.c"] = str(files["lib/ggdq_tiny/src/ggdq_tiny.c"]).replace(
        "static int16_t arena[7]", "static int16_t arena[70000]"
    )
    projects.write(tmp_path, NUCLEO, files)
    with pytest.raises(GgdqError, match="region `ram' overflowed by"):
        projects.compile_project(tmp_path)


def test_upload_with_the_stand_in_platform_is_refused_not_pretended(built: Callable[..., Built]) -> None:
    with pytest.raises(GgdqError, match="cannot flash"):
        projects.upload(built("nucleo").folder)


def test_a_project_that_was_not_compiled_says_so(tmp_path: Path) -> None:
    projects.write(tmp_path, NUCLEO, networks.tiny())
    with pytest.raises(GgdqError, match="no compiled firmware"):
        projects.firmware_of(tmp_path)


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="not a project"):
        projects.compile_project(tmp_path)


def test_a_setting_that_means_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGDQ_PIO", "offline")
    with pytest.raises(GgdqError, match="GGDQ_PIO is 'offline'"):
        local_core.is_chosen()


def test_the_samples_of_the_native_test_are_the_packed_bytes(tmp_path: Path) -> None:
    x = np.arange(-3, 4, dtype=np.int8)
    y = networks.tiny_layers(x)[1]
    projects.write(tmp_path, NUCLEO, networks.tiny(), [((x,), (y,))])
    text = (tmp_path / "test/test_network/samples.h").read_text()
    assert "{253,254,255,0,1,2,3,0}" in text


def test_the_repository_itself_is_a_project_that_compiles(local_platformio: None) -> None:
    root = Path(__file__).resolve().parents[2]
    names = _environments(root)
    assert set(names) - {"native"} <= set(BOARDS)
    for name in names:
        assert projects.compile_project(root, name).code > 1000


def _environments(root: Path) -> list[str]:
    settings = configparser.ConfigParser()
    settings.read(root / "platformio.ini")
    return [section.removeprefix("env:") for section in settings.sections() if section.startswith("env:")]
