"""Who writes the answers: our own decoder, or llama.cpp on the same files."""

from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

from workbench.adapters.stack import WeightedAdapter
from workbench.chatting.in_llama_cpp import LlamaCppWriter, why_not
from workbench.chatting.in_torch import TorchWriter
from workbench.chatting.sampling import Sampling
from workbench.errors import InputError, how_to_install, unknown_name
from workbench.models.base import Base


@runtime_checkable
class Writer(Protocol):
    """Continues a prompt."""

    name: str
    """What runs, for people."""

    def write(
        self,
        prompt: Sequence[int],
        weights: Sequence[float | int],
        sampling: Sampling,
        stops: Collection[int],
    ) -> Iterator[int]:
        """Give out the tokens of an answer as they are written.

        Args:
            prompt: Tokens of the whole conversation, up to where the answer begins.
            weights: One for each adapter that the writer was made with.
            sampling: How tokens are chosen.
            stops: Tokens that end the answer; they are not given out.
        """

    def close(self) -> None:
        """End what was started for it."""


WRITERS: dict[str, Callable[[Base, Sequence[WeightedAdapter]], Writer]] = {
    "workbench": TorchWriter,
    "llama.cpp": LlamaCppWriter,
}
"""By the names that ``workbench chat --with`` takes."""


def choose_writer(wanted: str, base: Base, adapters: Sequence[WeightedAdapter]) -> tuple[Writer, str]:
    """Return who writes, and a sentence that says so and why.

    Args:
        wanted: Key of :data:`WRITERS`, or "auto": llama.cpp where it is installed and can take the files,
            for it is several times faster.
        base: The base.
        adapters: What may be put on it.

    Raises:
        InputError: If the name is unknown, or that writer can't be had.
    """
    if wanted not in (*WRITERS, "auto"):
        raise unknown_name("writer", wanted, (*WRITERS, "auto"), "src/workbench/chatting/writers.py")
    missing = find_spec("xllamacpp") is None
    obstacle = "xllamacpp is not installed" if missing else why_not(base, adapters)
    if wanted == "llama.cpp" and obstacle:
        advice = f"; install it with `{how_to_install('chat')}`" if missing else ""
        raise InputError(f"llama.cpp can't write here: {obstacle}{advice}, or leave --with out")
    if wanted == "auto":
        wanted = "workbench" if obstacle else "llama.cpp"
    writer = WRITERS[wanted](base, adapters)
    because = f": {obstacle}" if wanted == "workbench" and obstacle else ""
    return writer, f"{writer.name} writes{because}"
