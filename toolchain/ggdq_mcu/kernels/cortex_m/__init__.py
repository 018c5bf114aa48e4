"""Kernels for Cortex-M cores of every kind of multiplier; each kind has its own form of their inner loops."""
