"""After the platform: no C++ library; link again when the linker script changes; the image's CRC where it is checked."""

from pathlib import Path

Import("env")  # noqa: F821

env.Replace(LIBS=[library for library in env["LIBS"] if library != "stdc++"])  # noqa: F821
env.Depends("$BUILD_DIR/${PROGNAME}.elf", "$LDSCRIPT_PATH")  # noqa: F821

image_crc = Path(env.subst("$PROJECT_DIR")) / "image_crc.py"  # noqa: F821
if image_crc.is_file():
    store = env.VerboseAction(f'"$PYTHONEXE" "{image_crc}" "$TARGET" "$OBJCOPY"', "Storing the CRC of $TARGET")  # noqa: F821
    env.AddPostAction("$BUILD_DIR/${PROGNAME}.elf", store)  # noqa: F821
