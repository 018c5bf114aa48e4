"""For platformio.ini of this repository: makes the project of the environment's board, and builds that."""

import sys
from pathlib import Path

Import("env")  # noqa: F821
project = Path(env.subst("$PROJECT_DIR"))  # noqa: F821
sys.path[:0] = [str(project / "toolchain"), str(project / "tests" / "firmware")]

import networks  # noqa: E402

from ggdq_mcu import boards, projects  # noqa: E402

board = boards.load(env["PIOENV"])  # noqa: F821
folder = Path(env.subst("$PROJECT_BUILD_DIR")).parent / "firmware" / board.name  # noqa: F821
projects.write(folder, board, networks.tiny())
env.Replace(PROJECT_SRC_DIR=str(folder / "src"), PROJECT_INCLUDE_DIR=str(folder / "include"))  # noqa: F821
env.Append(CPPPATH=[str(folder / "src" / "app")])  # noqa: F821
env.Append(LIBSOURCE_DIRS=[str(folder / "lib")])  # noqa: F821
if board.uart is None:
    env.Replace(SRC_FILTER="+<app/> +<host/>")  # noqa: F821
else:
    flags = list(board.core.flags)
    env.Replace(SRC_FILTER="+<app/> +<board/>")  # noqa: F821
    env.Replace(LDSCRIPT_PATH=str(folder / "link.ld"))  # noqa: F821
    env.Append(ASFLAGS=flags, CCFLAGS=flags)  # noqa: F821
    env.Append(LINKFLAGS=[*flags, "-nostartfiles", "-Wl,--fatal-warnings,-z,noexecstack"])  # noqa: F821
