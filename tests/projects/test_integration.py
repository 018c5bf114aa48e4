"""The generated library in somebody else's firmware: PlatformIO, Arduino, CMake, Zephyr; two networks at once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ggdq_mcu.boards import CORES, Memory
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.emulation.unicorn_machine import Machine, read_image
from ggdq_mcu.pipeline.build import Request, build
from ggdq_mcu.pipeline.project import Expected, open_project
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.projects import compile_project

MODEL = Path(__file__).parents[2] / "examples" / "digits.h5"
CMAKE_PROGRAM = (sys.executable, "-m", "cmake")
TWO = ("first", "second")
ARDUINO_FIELDS = (
    *("name", "version", "author", "maintainer", "sentence", "paragraph"),
    *("category", "url", "architectures", "includes"),
)
ARDUINO_CATEGORIES = {
    *("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing"),
    *("Data Storage", "Data Processing", "Other"),
}

# Both networks on the same input; prints the outputs of each.
MAIN = """
#include <stdio.h>
#include "ggdq_first.h"
#include "ggdq_second.h"
int main(void)
{
    static ggdq_first_input_t input[GGDQ_FIRST_INPUT_ELEMENTS];
    static ggdq_first_output_t first[GGDQ_FIRST_OUTPUT_ELEMENTS];
    static ggdq_second_output_t second[GGDQ_SECOND_OUTPUT_ELEMENTS];
    for (int value, i = 0; scanf("%d", &value) == 1; i++) {
        input[i] = (ggdq_first_input_t)value;
    }
    int status = ggdq_first_invoke(input, first) | ggdq_second_invoke(input, second);
    for (int i = 0; i < GGDQ_FIRST_OUTPUT_ELEMENTS; i++) {
        printf("%d %d\\n", first[i], second[i]);
    }
    return status;
}
"""

# Of Zephyr's build what a module uses.
ZEPHYR = """
cmake_minimum_required(VERSION 3.13)
project(zephyr C)
add_library(app INTERFACE)
function(zephyr_library_named name)
  add_library(${name} STATIC)
  set(current ${name} PARENT_SCOPE)
  target_link_libraries(app INTERFACE ${name})
endfunction()
function(zephyr_library_sources)
  target_sources(${current} PRIVATE ${ARGV})
endfunction()
function(zephyr_include_directories)
  target_include_directories(app INTERFACE ${ARGV})
endfunction()
set(CONFIG_GGDQ_FIRST y)
set(CONFIG_GGDQ_SECOND y)
add_subdirectory(lib/ggdq_first)
add_subdirectory(lib/ggdq_second)
add_executable(both main.c)
target_link_libraries(both app)
"""

# Of ESP-IDF's build what a component uses.
ESP_IDF = """
cmake_minimum_required(VERSION 3.16)
project(esp C)
set(ESP_PLATFORM 1)
function(idf_component_register)
  cmake_parse_arguments(one "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  get_filename_component(name ${CMAKE_CURRENT_LIST_DIR} NAME)
  add_library(${name} STATIC ${one_SRCS})
  target_include_directories(${name} PUBLIC ${one_INCLUDE_DIRS})
endfunction()
add_subdirectory(lib/ggdq_first)
add_subdirectory(lib/ggdq_second)
add_executable(both main.c)
target_link_libraries(both ggdq_first ggdq_second)
"""

# One by its folder, one as a dependency that is fetched.
CMAKE = """
cmake_minimum_required(VERSION 3.14)
project(both C)
include(FetchContent)
add_subdirectory(lib/ggdq_first)
FetchContent_Declare(second SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/lib/ggdq_second)
FetchContent_MakeAvailable(second)
add_executable(both main.c)
target_link_libraries(both PRIVATE ggdq_first ggdq_second)
"""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The example under two names, the second without an improvement, so that they differ."""
    folder = tmp_path_factory.mktemp("two")
    from ggdq_mcu.quantization.options import Options

    options = {"first": Options(), "second": Options(channel_steps=False, adaptive_rounding=False)}
    return {
        name: build(Request(MODEL, "host", folder / name, name=name, options=options[name], compile=False)).folder
        for name in TWO
    }


@pytest.fixture
def both(projects: dict[str, Path], tmp_path: Path) -> Path:
    """A folder with both libraries and a program that uses them."""
    for name, folder in projects.items():
        shutil.copytree(folder / "lib" / f"ggdq_{name}", tmp_path / "lib" / f"ggdq_{name}")
    (tmp_path / "main.c").write_text(MAIN)
    return tmp_path


def run(folder: Path, *line: object, text: str = "") -> str:
    words = [str(word) for word in line]
    done = subprocess.run(words, cwd=folder, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_right(program: Path, projects: dict[str, Path]) -> None:
    """Both networks give what their references gave at build time."""
    expected = {name: open_project(folder).expected() for name, folder in projects.items()}
    for sample in range(3):
        values = [_flat(expected[name], sample) for name in TWO]
        assert np.array_equal(values[0][0], values[1][0])
        told = run(program.parent, program, text=" ".join(map(str, values[0][0])))
        outputs = np.array([line.split() for line in told.splitlines()], int).T
        for output, (_, right) in zip(outputs, values, strict=True):
            assert np.array_equal(output, right)


def _flat(expected: Expected, sample: int) -> tuple[np.ndarray, np.ndarray]:
    (inputs,), (outputs,) = expected.inputs.values(), expected.outputs.values()
    return inputs[sample].ravel(), outputs[sample].ravel()


@pytest.mark.parametrize("lists", [CMAKE, ZEPHYR, ESP_IDF], ids=["cmake", "zephyr", "esp-idf"])
def test_two_networks_are_targets_of_cmake_and_modules_of_zephyr(
    projects: dict[str, Path], both: Path, lists: str
) -> None:
    (both / "CMakeLists.txt").write_text(lists)
    run(both, *CMAKE_PROGRAM, "-S", ".", "-B", "out")
    run(both, *CMAKE_PROGRAM, "--build", "out")
    assert_right(both / "out" / "both", projects)


def test_a_zephyr_module_names_its_files(both: Path) -> None:
    for name in TWO:
        module = both / "lib" / f"ggdq_{name}"
        lines = [line.split(":") for line in (module / "zephyr" / "module.yml").read_text().splitlines()]
        named = {key.strip(): value.strip() for key, value in lines}
        assert named["name"] == f"ggdq_{name}"
        assert (module / named["cmake"] / "CMakeLists.txt").is_file()
        assert f"config GGDQ_{name.upper()}\n" in (module / named["kconfig"]).read_text()


def test_two_networks_share_one_program_on_an_emulated_core(projects: dict[str, Path], tmp_path: Path) -> None:
    """With the kernels of a Cortex-M4, whose names the networks have in common; each twice, in turns."""
    core = CORES["cortex-m4"]
    networks = {name: open_project(folder).network for name, folder in projects.items()}
    texts: dict[str, str] = {}
    for name, network in networks.items():
        texts |= render_network(make_plan(network, core), name)
    for file, text in texts.items():
        (tmp_path / file).write_text(text)
    sources = [file for file in texts if file.endswith((".c", ".S"))]
    line = ["arm-none-eabi-gcc", *core.flags, *STRICT, "-O2", "-ffunction-sections", "-fdata-sections", *sources]
    line += ["-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Ttext=0x8000000", "-Tdata=0x20000000"]
    run(tmp_path, *line, "-Wl,--gc-sections,-e,ggdq_first_invoke,-u,ggdq_second_invoke", "-o", "both.elf")
    machine = Machine(read_image(tmp_path / "both.elf"), core)
    machine.map(Memory(0x2400_0000, 0x1000), writable=True)
    expected = {name: open_project(folder).expected() for name, folder in projects.items()}
    for sample in range(2):
        for name in TWO:
            inputs, outputs = _flat(expected[name], sample)
            machine.write(0x2400_0000, inputs.tobytes())
            assert machine.call(f"ggdq_{name}_invoke", 0x2400_0000, 0x2400_0800) == 0
            assert machine.read(0x2400_0800, outputs.nbytes) == outputs.tobytes()


def test_two_networks_compile_by_hand_without_a_warning(projects: dict[str, Path], both: Path) -> None:
    sources = sorted(both.glob("lib/*/src/*.c"))
    includes = [f"-I{both / 'lib' / f'ggdq_{name}' / 'src'}" for name in TWO]
    run(both, "cc", *STRICT, "-O2", *includes, *sources, "main.c", "-o", "both")
    assert_right(both / "both", projects)


def test_two_networks_are_libraries_of_platformio(
    local_platformio: None, projects: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(projects["first"], tmp_path / "project"))
    shutil.copytree(projects["second"] / "lib" / "ggdq_second", folder / "lib" / "ggdq_second")
    shutil.rmtree(folder / "src" / "app")
    (folder / "src" / "app").mkdir()
    (folder / "src" / "app" / "main.c").write_text(MAIN)
    (folder / "src" / "host" / "port_host.c").unlink()
    assert_right(compile_project(folder).elf, projects)


def test_an_arduino_library_tells_its_header_which_cpp_can_include(both: Path) -> None:
    library = both / "lib" / "ggdq_first"
    lines = (library / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    # The rules of Arduino's library specification, which arduino-lint checks.
    assert all(properties[key].strip() for key in ARDUINO_FIELDS)
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{0,62}", properties["name"], re.ASCII)
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"])
    assert re.fullmatch(r"https?://\S+", properties["url"])
    assert properties["category"] in ARDUINO_CATEGORIES
    assert not properties["paragraph"].startswith(properties["sentence"])
    assert properties["name"] == library.name == "ggdq_first"
    assert properties["architectures"] == "*"
    assert (library / "src" / properties["includes"]).is_file()
    sketch = f"#include <{properties['includes']}>\nint f(void) {{ return (int)ggdq_first_arena_size(); }}\n"
    (both / "sketch.cpp").write_text(sketch)
    flags = ["-mcpu=cortex-m4", "-mthumb", "-Wall", "-Wextra", "-Werror", "-I", library / "src"]
    run(both, "arm-none-eabi-g++", *flags, "-c", "sketch.cpp")
    for source in sorted((library / "src").glob("*.c")):
        run(both, "arm-none-eabi-gcc", *flags, "-c", source)
    assert "U ggdq_first_arena_size" in run(both, "arm-none-eabi-nm", "sketch.o")
