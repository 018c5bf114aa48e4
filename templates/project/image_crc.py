"""Stores in a linked firmware the CRC-32 of its flash, which it checks at its start: image_crc.py ELF OBJCOPY"""

import subprocess
import sys
import tempfile
import zlib
from pathlib import Path


def store(elf: str, objcopy: str) -> None:
    """The CRC's own word is the image's last one, and no part of it."""
    with tempfile.TemporaryDirectory() as folder:
        image, word = Path(folder, "image"), Path(folder, "word")
        subprocess.run([objcopy, "-O", "binary", elf, str(image)], check=True)
        word.write_bytes(zlib.crc32(image.read_bytes()[:-4]).to_bytes(4, "little"))
        subprocess.run([objcopy, "--update-section", f".image_crc={word}", elf], check=True)


if __name__ == "__main__":
    store(*sys.argv[1:])
