"""Kernels for cores with Thumb-1 (Armv6-M)."""
