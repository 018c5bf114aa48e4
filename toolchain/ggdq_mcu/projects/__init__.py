"""How does a network become a PlatformIO project, and the project firmware?"""

from ggdq_mcu.projects.compiling import Firmware, compile_project, firmware_of, upload
from ggdq_mcu.projects.folders import staged
from ggdq_mcu.projects.interface import (
    Arrays,
    Interface,
    Port,
    native_library,
    parse_header,
    read_interface,
)
from ggdq_mcu.projects.writing import MANIFEST, App, check_out, write

__all__ = [
    "MANIFEST",
    "App",
    "Arrays",
    "Firmware",
    "Interface",
    "Port",
    "check_out",
    "compile_project",
    "firmware_of",
    "native_library",
    "parse_header",
    "read_interface",
    "staged",
    "upload",
    "write",
]
