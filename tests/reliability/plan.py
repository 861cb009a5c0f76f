"""How much is tried: all with ``run_tests.py --reliability``, else what the seed picks."""

import os
from random import Random

FULL = os.environ.get("FINOPS_RELIABILITY") == "1"
SEED = int(os.environ.get("FINOPS_TEST_SEED", "0"))


def rounds(full, plain):
    """Return how often a case is tried."""
    return full if FULL else plain


def chosen(cases, plain):
    """Return all cases, or as many of them as a plain run tries."""
    cases = list(cases)
    return cases if FULL else dice("chosen").sample(cases, min(plain, len(cases)))


def dice(*parts):
    """Return the random numbers of one case; seed and case give the same ones again."""
    return Random(repr((SEED, *parts)))  # noqa: S311 - chance is to be repeated here
