"""Stand-in for the platform ststm32: bare metal, with the flags that the real one sets, and no upload."""

from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
prefix = "arm-none-eabi-"
core = [f"-mcpu={env.BoardConfig().get('build.cpu')}", "-mthumb"]
libraries = ["c", "gcc", "m"]
env.SConscript(
    str(Path(env.PioPlatform().get_dir()).parent / "bare_metal.py"), exports=["env", "prefix", "core", "libraries"]
)
