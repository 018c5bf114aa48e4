"""Kernels for cores with dual multiplies of 16 bits (Armv7E-M and Armv8-M with DSP)."""
