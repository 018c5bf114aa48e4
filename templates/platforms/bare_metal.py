"""What the stand-ins for PlatformIO's bare-metal platforms share: GCC, an image, sizes, and no upload.

``prefix``: what the names of the tools begin with; ``core``: flags for compiler and linker, ``libraries`` to link.
"""

import sys

from SCons.Script import AlwaysBuild, Builder, Default, Import

Import("env", "prefix", "core", "libraries")

env.Replace(  # noqa: F821
    **{
        variable: f"{prefix}{tool}"  # noqa: F821
        for variable, tool in (
            ("AR", "gcc-ar"),
            ("AS", "as"),
            ("CC", "gcc"),
            ("CXX", "g++"),
            ("GDB", "gdb"),
            ("OBJCOPY", "objcopy"),
            ("RANLIB", "gcc-ranlib"),
            ("SIZETOOL", "size"),
        )
    },
    ARFLAGS=["rc"],
    SIZEPROGREGEXP=r"^(?:\.text|\.data|\.rodata)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.stack)\s+(\d+).*",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
env.Append(  # noqa: F821
    CCFLAGS=["-Os", "-ffunction-sections", "-fdata-sections", *core],  # noqa: F821
    LINKFLAGS=["-Os", "-Wl,--gc-sections", *core],  # noqa: F821
    LIBS=libraries,  # noqa: F821
    BUILDERS={
        "ElfToBin": Builder(
            action=env.VerboseAction("$OBJCOPY -O binary $SOURCES $TARGET", "Building $TARGET"),  # noqa: F821
            suffix=".bin",
        )
    },
)

program = env.BuildProgram()  # noqa: F821
image = env.ElfToBin("$BUILD_DIR/${PROGNAME}", program)  # noqa: F821
env.Depends(image, "checkprogsize")  # noqa: F821
AlwaysBuild(env.Alias("nobuild", image))  # noqa: F821


def refuse_upload(target, source, env):
    sys.stderr.write("Error: this stand-in cannot flash; unset GGDQ_PIO so that PlatformIO fetches its own\n")
    return 1


upload = [refuse_upload]
if env.get("UPLOADCMD"):  # noqa: F821
    upload = [env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE")]  # noqa: F821
size = env.VerboseAction("$SIZEPRINTCMD", "Calculating size")  # noqa: F821
env.AddPlatformTarget("upload", image, upload, "Upload")  # noqa: F821
env.AddPlatformTarget("size", program, size, "Program size")  # noqa: F821
Default([image])
