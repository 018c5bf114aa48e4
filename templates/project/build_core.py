"""Compiles and links for the core that platformio.ini names, bare metal, without the C++ library."""

Import("env")  # noqa: F821

flags = env.GetProjectOption("custom_core_flags").split()  # noqa: F821
env.Append(ASFLAGS=flags, CCFLAGS=flags)  # noqa: F821
env.Append(LINKFLAGS=[*flags, "-nostartfiles", "-Wl,--fatal-warnings,-z,noexecstack"])  # noqa: F821
