"""Kernels for cores with Helium (M-profile vector extension)."""
