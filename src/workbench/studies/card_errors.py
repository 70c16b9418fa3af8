"""What is said when a card fails under a run, or is full where nothing smaller can be tried."""

from collections.abc import Iterator
from contextlib import contextmanager

from workbench.devices import has_failed, is_full
from workbench.errors import InputError


class CardGone(InputError):
    """Says that the card failed and that the same command goes on: nobody's input was wrong."""


def card_gone(error: BaseException) -> CardGone:
    """Return the sentence for a card that failed in a process that needs it."""
    return CardGone(
        f"the card failed ({first_line(error)}), and this process can't use it again; nothing is lost but "
        "the time since the last checkpoint: the same command goes on from there, and with --executor "
        "processes a run starts another process by itself"
    )


def first_line(error: BaseException) -> str:
    """Return what an error says, without the pages that torch puts behind it."""
    return str(error).strip().partition("\n")[0]


@contextmanager
def card_errors() -> Iterator[None]:
    """Turn the errors of a card into sentences; all others stay as they are.

    Raises:
        CardGone: If the card failed.
        InputError: If its memory was full.
    """
    try:
        yield
    except RuntimeError as error:
        if has_failed(error):
            raise card_gone(error) from error
        if is_full(error):
            raise InputError(
                f"the card's memory was full ({first_line(error)}); end what else uses the card, or choose "
                "--device cpu"
            ) from error
        raise
