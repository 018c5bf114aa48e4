"""After the platform: no C++ library; link again when the linker script changes."""

Import("env")  # noqa: F821

env.Replace(LIBS=[library for library in env["LIBS"] if library != "stdc++"])  # noqa: F821
env.Depends("$BUILD_DIR/${PROGNAME}.elf", "$LDSCRIPT_PATH")  # noqa: F821
