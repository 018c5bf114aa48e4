"""Elementary functions against the C library's and SciPy's, within the error that their module states."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from ggdq_mcu.numerics import circular, functions, gamma

RANDOM = np.random.default_rng(5)
REAL = np.concatenate([RANDOM.normal(0, scale, 4000) for scale in (1e-9, 1e-3, 0.1, 1, 10, 200)])
POSITIVE = np.abs(REAL)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 5e-324, 800.0, -800.0, 1e308, -1e308])

#: name, reference, arguments, relative and absolute error
CASES = [
    ("exp", np.exp, REAL, 4e-16, 1e-307),
    ("expm1", np.expm1, REAL, 5e-14, 0),
    ("log", np.log, POSITIVE, 5e-16, 1e-16),
    ("log1p", np.log1p, POSITIVE, 1e-15, 0),
    ("log1p", np.log1p, -POSITIVE[POSITIVE < 1], 1e-15, 0),
    ("log2", np.log2, POSITIVE, 7e-16, 1e-16),
    ("log10", np.log10, POSITIVE, 7e-16, 1e-16),
    ("exp2", np.exp2, REAL, 4e-16, 0),
    ("tanh", np.tanh, REAL, 5e-14, 0),
    ("sigmoid", special.expit, REAL, 6e-16, 1e-307),
    ("softplus", lambda x: np.logaddexp(x, 0), REAL, 1e-15, 1e-307),
    ("erf", special.erf, REAL, 5e-15, 0),
    ("erfc", special.erfc, REAL, 0, 5e-15),
    ("log_gamma", special.gammaln, POSITIVE[POSITIVE > 1e-9], 3e-15, 1e-13),
    ("digamma", special.psi, POSITIVE[POSITIVE > 1e-9], 3e-15, 1e-13),
]


@pytest.mark.parametrize(("name", "reference", "x", "relative", "absolute"), CASES)
def test_errors_are_within_the_bound(name, reference, x, relative, absolute) -> None:
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(getattr(functions, name)(x), reference(x), relative, absolute)


@pytest.mark.parametrize(("name", "reference"), [case[:2] for case in CASES[:12]])
def test_arguments_at_the_ends_give_what_the_reference_gives(name, reference) -> None:
    with np.errstate(all="ignore"):
        expected = reference(SPECIAL)
    found = getattr(functions, name)(SPECIAL)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isposinf(found), np.isposinf(expected))
    np.testing.assert_allclose(found, expected, 1e-13, 1e-307)


def test_the_result_does_not_depend_on_what_stands_beside_it() -> None:
    for name in ("exp", "log", "tanh", "erf"):
        of = getattr(functions, name)
        many = of(np.resize(POSITIVE, 50_000))
        np.testing.assert_array_equal(many[:300], [of(x) for x in POSITIVE[:300]])


@pytest.mark.parametrize("name", ["exp", "log"])
def test_few_values_have_the_bits_of_many(name: str) -> None:
    of = getattr(functions, name)
    ends = [np.ldexp(1.0, np.arange(-1074, 1023)), np.arange(-760, 720, 0.125) * functions.LN2]
    x = np.concatenate([SPECIAL, REAL, *ends, RANDOM.integers(0, 1 << 62, 5000).view(np.float64)])
    many, few = of(x), np.concatenate([of(x[start : start + 5]) for start in range(0, len(x), 5)])
    np.testing.assert_array_equal(np.isnan(few), np.isnan(many))
    np.testing.assert_array_equal(few[~np.isnan(few)].view(np.int64), many[~np.isnan(many)].view(np.int64))


def test_expansions_of_few_values_have_the_bits_of_many() -> None:
    a, x = np.abs(RANDOM.normal(0, 3, 200)), np.abs(RANDOM.normal(0, 3, 200))
    for of, at in ((gamma.upper_fraction, x + a + 1), (gamma.lower_series, x)):
        count = a.max()  # the largest a tells the number of terms
        few = [of(np.array([a[i], count]), np.array([at[i], count + 1]))[0] for i in range(200)]
        np.testing.assert_array_equal(of(a, at), few)


def test_single_precision_comes_from_double() -> None:
    x = POSITIVE.astype(np.float32)
    found = functions.log(x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, functions.log(x.astype(np.float64)).astype(np.float32))


def test_powers_of_two_are_exact() -> None:
    whole = np.arange(-1000, 1000)
    np.testing.assert_array_equal(functions.exp2(whole), np.ldexp(1.0, whole))
    np.testing.assert_array_equal(functions.log2(np.ldexp(1.0, whole)), whole)
    np.testing.assert_array_equal(functions.floor_log2(np.ldexp(1.0, whole)), whole)
    np.testing.assert_array_equal(functions.ceil_log2(np.ldexp(1.0, whole)), whole)
    above = np.nextafter(np.ldexp(1.0, whole), np.inf)
    np.testing.assert_array_equal(functions.ceil_log2(above), whole + 1)
    np.testing.assert_array_equal(functions.floor_log2(np.nextafter(np.ldexp(1.0, whole), 0)), whole - 1)


def test_powers() -> None:
    base, exponent = POSITIVE[POSITIVE > 1e-3], 1.7
    np.testing.assert_allclose(functions.power(base, exponent), base**exponent, 1e-13)
    assert functions.power(0.0, 2.0) == 0
    assert functions.power(0.0, 0.0) == 1


@pytest.mark.parametrize("a", [0.02, 0.5, 3.0, 40.0, 206.0])
def test_incomplete_gamma_functions(a: float) -> None:
    a = np.array([a])
    for x in (a + 1, 1.3 * a + 1.5, 4 * a + 30):
        front = np.exp(a * np.log(x) - x - special.gammaln(a))
        np.testing.assert_allclose(gamma.upper_fraction(a, x) * front, special.gammaincc(a, x), 1e-9)
    for x in (1e-6 * a, 0.5 * a, 0.99 * (a + 1)):
        front = np.exp(a * np.log(x) - x - special.gammaln(a))
        np.testing.assert_allclose(gamma.lower_series(a, x) * front, special.gammainc(a, x), 1e-9)


@pytest.mark.parametrize("a", [-1.9, -1e-6, 1e-6, 0.5, 20.0, 198.0])
def test_the_larger_root(a: float) -> None:
    least = a - a * np.log(a) if a > 0 else -30.0 * abs(a)
    for right in least + np.array([1e-6, 0.1, 3.0, 50.0, 800.0, 1e5]):
        t = float(gamma.larger_root(np.array([a]), np.array([right]))[0])
        assert t - a * np.log(t) == pytest.approx(right, rel=1e-9, abs=1e-9)
        assert a <= 0 or t >= a


#: name, arguments, relative and absolute error
CIRCULAR = [
    ("sin", REAL, 0, 1e-15),
    ("cos", REAL, 0, 1e-15),
    ("tan", REAL[np.abs(np.cos(REAL)) > 0.01], 1e-13, 1e-15),
    ("sin", 1000 * REAL, 0, 2e-15),
    ("arctan", REAL, 1e-15, 0),
    ("arcsinh", REAL, 1e-14, 0),
    ("sinh", REAL, 1e-13, 0),
    ("cosh", REAL, 1e-13, 0),
]


@pytest.mark.parametrize(("name", "x", "relative", "absolute"), CIRCULAR)
def test_circular_functions_are_within_their_bound(name, x, relative, absolute) -> None:
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(getattr(circular, name)(x), getattr(np, name)(x), relative, absolute)


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "arctan"])
def test_circular_functions_of_what_is_no_number(name) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(getattr(circular, name)(x), getattr(np, name)(x), 1e-15)
