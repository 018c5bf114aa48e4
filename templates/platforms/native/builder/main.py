"""Stand-in for the platform native: the computer's own compiler."""

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
Default([env.BuildProgram()])
