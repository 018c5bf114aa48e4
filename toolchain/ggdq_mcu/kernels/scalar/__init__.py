"""Kernels in plain C for cores of any kind."""
