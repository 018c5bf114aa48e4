"""Arithmetic that gives the same bits on every processor, with every version of NumPy and every BLAS.

IEEE 754 fixes the result of a single +, -, *, / or square root. It fixes neither the order in which a library adds up (BLAS,
LAPACK, ``np.sum``, ``np.mean``, ``np.var``, ``einsum``), nor whether a product and a sum are rounded once or twice (FMA), nor
the last bits of exp, log, sin or pow, which NumPy and SciPy take from the processor's vector units or the C library.

The rule for all code whose results reach a file (operators' float meaning, quantization, passes, planning):

* Allowed: element-wise + - * / and sqrt, abs, floor, rint, minimum, maximum, where, clip, comparisons, ``frexp`` and
  ``ldexp``; ``x * x`` for squares; sums of whole numbers; ``cumsum``, which adds in order; min, max, argmin (the first of
  equals), stable sorts.
* Products of matrices: ``products.product`` and ``products.products``; or ``@`` where every partial sum is an integer below
  2^24 (float32) or 2^53 (float64), with that bound in a comment.
* Sums and means of floating-point numbers: ``sums.total`` and ``sums.mean``. Not ``np.sum``, ``np.mean``, ``np.std``, ``sum()``
  of arrays' own order, ``np.vdot``, ``np.average``.
* exp, log, tanh and their kind, powers: ``functions``. Not ``np.exp``, ``np.power``, ``x**y`` (but for ``x**2``), ``math.log``,
  ``scipy.special``; powers of two by ``np.ldexp``, and their exponents by ``np.frexp``, not by ``log2``.
* Linear systems: ``solvers``. Not ``np.linalg``, ``scipy.linalg``, ``scipy.optimize``.
* Random numbers: ``noise``. Not ``Generator.normal``, whose tails call exp and log.
* No ``np.interp``, ``np.geomspace``, ``np.quantile``: they hide multiply-adds or powers. No order of a set of texts.
"""
