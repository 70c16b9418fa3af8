"""Chance without state: numbers that are pure functions of a seed, a purpose and an id.

A record meets the same chances whatever else is drawn beside it, in whichever order, on any machine. That
is what couples the cells of a study: neighbours differ only where they must.
"""

import hashlib
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def _bits(seed: int, purpose: str, name: str) -> int:
    text = f"{seed}\0{purpose}\0{name}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def number(seed: int, purpose: str, name: str) -> float:
    """Return a number in [0, 1), uniform over names and independent between seeds and purposes."""
    return (_bits(seed, purpose, name) >> 11) * 2.0**-53


def generator(seed: int, purpose: str, name: str) -> Random:
    """Return a generator for decisions that take more than one number.

    Use its ``random()`` alone, or :func:`pick`: Python promises the sequence of ``random()`` for every
    later version, but not that of ``choice``, ``shuffle`` or ``randrange``.
    """
    return Random(_bits(seed, purpose, name))


def pick(options: Sequence[T], chance: Random) -> T:
    """Return one of ``options``, each as likely as the others."""
    return options[int(chance.random() * len(options))]
