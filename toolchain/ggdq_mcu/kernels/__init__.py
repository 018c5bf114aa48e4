"""Which kernels are there for a single kind of core? One folder for each kind; the portable ones belong to the operators."""
