"""Stand-in for the platform ststm32: bare metal, with the flags that the real one sets, and no upload."""

import sys

from SCons.Script import AlwaysBuild, Builder, Default, DefaultEnvironment

env = DefaultEnvironment()
board = env.BoardConfig()
core = [f"-mcpu={board.get('build.cpu')}", "-mthumb"]

env.Replace(
    AR="arm-none-eabi-gcc-ar",
    AS="arm-none-eabi-as",
    CC="arm-none-eabi-gcc",
    CXX="arm-none-eabi-g++",
    GDB="arm-none-eabi-gdb",
    OBJCOPY="arm-none-eabi-objcopy",
    RANLIB="arm-none-eabi-gcc-ranlib",
    SIZETOOL="arm-none-eabi-size",
    ARFLAGS=["rc"],
    SIZEPROGREGEXP=r"^(?:\.text|\.data|\.rodata)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.stack)\s+(\d+).*",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
env.Append(
    CCFLAGS=["-Os", "-ffunction-sections", "-fdata-sections", *core],
    LINKFLAGS=["-Os", "-Wl,--gc-sections", *core],
    LIBS=["c", "gcc", "m"],
    BUILDERS={
        "ElfToBin": Builder(
            action=env.VerboseAction("$OBJCOPY -O binary $SOURCES $TARGET", "Building $TARGET"), suffix=".bin"
        )
    },
)

program = env.BuildProgram()
image = env.ElfToBin("$BUILD_DIR/${PROGNAME}", program)
env.Depends(image, "checkprogsize")
AlwaysBuild(env.Alias("nobuild", image))


def refuse_upload(target, source, env):
    sys.stderr.write("Error: this stand-in cannot flash; unset GGDQ_PIO so that PlatformIO fetches its own\n")
    return 1


upload = [env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE")] if env.get("UPLOADCMD") else [refuse_upload]
env.AddPlatformTarget("upload", image, upload, "Upload")
env.AddPlatformTarget("size", program, env.VerboseAction("$SIZEPRINTCMD", "Calculating size"), "Program size")
Default([image])
