"""Compiled projects for the tests of this folder."""

from firmware_fixtures import built, local_platformio

__all__ = ["built", "local_platformio"]
