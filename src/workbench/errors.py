"""The one kind of error a user can cause and can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input: the message names file, field and value, what was expected and what to do.

    The command line prints it as one sentence and exits with status 2; anything else is a defect of
    ours and keeps its traceback.
    """


def unknown_name(kind: str, got: str, known: Iterable[str], add_in: str) -> InputError:
    """Say that ``got`` is no known ``kind``, offer the nearest one and say where to add another."""
    names = sorted(known)
    near = get_close_matches(got, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {kind} {got!r}.{hint} Known: {', '.join(names)}. Add one in {add_in}.")
