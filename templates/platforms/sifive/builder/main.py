"""Stand-in for the platform sifive: bare metal, with the flags that the real one sets, picolibc, and no upload."""

from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
prefix = "riscv64-unknown-elf-"
core = [f"-m{name}={env.BoardConfig().get(f'build.m{name}')}" for name in ("arch", "abi", "cmodel")]
core += ["--specs=picolibc.specs"]
libraries = ["c"]
env.SConscript(
    str(Path(env.PioPlatform().get_dir()).parent / "bare_metal.py"), exports=["env", "prefix", "core", "libraries"]
)
