"""A conversation: what was said, on what, and how fast."""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from psutil import Process

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.fits import check_fits
from workbench.adapters.formats import load_adapter
from workbench.adapters.stack import WeightedAdapter, weighted_path
from workbench.chatting.sampling import Sampling
from workbench.chatting.writers import choose_writer
from workbench.data.records import Record
from workbench.data.templates import prompt_ids, stops
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.models.loaders import load_base
from workbench.showing import Shown

CUT_CHARACTER = "\ufffd"
"""What a decoder writes for the bytes of a character of which some are still to come."""


@dataclass(frozen=True, slots=True, repr=False)
class Answer(Shown):
    """An answer that has ended."""

    text: str
    tokens: int
    seconds: float
    ended: str
    """"said" (it ended itself), "limit" or "stopped" (by whoever listened)."""

    @property
    def rate(self) -> float:
        """Tokens a second, reading the question included."""
        return self.tokens / self.seconds if self.seconds else 0.0

    def _shown(self) -> tuple[str, dict[str, str]]:
        ends = {"said": "by itself", "limit": "at the limit", "stopped": "as it was stopped"}
        memory = Process().memory_info().rss / 2**20
        return "Answer", {
            "tokens": f"{self.tokens}, {self.rate:.1f} a second",
            "ended": ends[self.ended],
            "memory": f"{memory:,.0f} MB of this program",
        }


class Conversation:
    """Talks to a base with a stack of adapters, whose weights may change between two answers.

    Attributes:
        history: What was asked and answered, oldest first.
        last: The last answer; None before the first.
        note: A sentence that says who writes, and why.
    """

    def __init__(
        self,
        base: Base,
        adapters: Sequence[WeightedAdapter] = (),
        *,
        template: str | None = None,
        system: str = "",
        sampling: Sampling | None = None,
        writer: str = "auto",
    ) -> None:
        """Begin.

        Args:
            base: The base.
            adapters: The stack, in order; a weight of 0 keeps one at hand.
            template: How turns become text; the base's chat template, or plain text where it has none.
            system: What stands before the conversation.
            sampling: How tokens are chosen; the likeliest by default.
            writer: Key of ``WRITERS``, or "auto".

        Raises:
            InputError: If the template or the writer can't be used.
        """
        self.base = base
        self.template = template or ("chat" if base.tokenizer.chat_template else "plain")
        self.system, self.sampling = system, sampling or Sampling()
        self.adapters = list(adapters)
        self.history: list[tuple[str, str]] = []
        self.last: Answer | None = None
        self.stops = stops(self.template, base.tokenizer)
        self.writer, self.note = choose_writer(writer, base, adapters)

    def __enter__(self) -> "Conversation":
        """Return itself; the writer is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the writer."""
        self.writer.close()

    def weigh(self, place: int, weight: float | int) -> None:
        """Give an adapter of the stack another weight, from the next answer on.

        Raises:
            InputError: If there is no adapter at that place, counted from 0.
        """
        if not 0 <= place < len(self.adapters):
            raise InputError(f"there is no adapter {place + 1}; the stack has {len(self.adapters)}")
        self.adapters[place] = replace(self.adapters[place], weight=weight)

    def say(self, text: str) -> Answer:
        """Print an answer while it is written, as a notebook shows it, and return it.

        Interrupting the kernel stops the answer; what was written counts as said.

        Raises:
            InputError: As :meth:`ask`.
        """
        pieces = self.ask(text)
        try:
            for piece in pieces:
                print(piece, end="", flush=True)
        except KeyboardInterrupt:
            pieces.close()
        print(flush=True)
        assert self.last is not None, "an answer that has ended is kept"
        return self.last

    def forget(self) -> None:
        """Begin the conversation anew."""
        self.history, self.last = [], None

    def ask(self, text: str) -> Generator[str]:
        """Answer, piece by piece; the whole is in ``last`` afterwards, and in the history.

        Whoever stops listening stops the answer, and what was written counts as said.

        Raises:
            InputError: If the question and what came before are longer than the base can read.
        """
        record = Record(id="asked", prompt=text, response="", system=self.system, history=tuple(self.history))
        prompt = prompt_ids(self.template, record, self.base.tokenizer)
        room = self.base.decoder.config.context - len(prompt)
        if room < 1:
            raise InputError(
                f"the conversation has {len(prompt):,} tokens, and {self.base.name} reads "
                f"{self.base.decoder.config.context:,}; begin a new one (/new), or ask something shorter"
            )
        sampling = replace(self.sampling, limit=min(self.sampling.limit, room))
        weights = [one.weight for one in self.adapters]
        started, tokens, shown = time.perf_counter(), list[int](), ""
        ended = "stopped"
        try:
            for token in self.writer.write(prompt, weights, sampling, self.stops):
                tokens.append(token)
                whole = self.base.tokenizer.decode(tokens)
                # a character's first bytes wait for the others
                if not whole.endswith(CUT_CHARACTER) and whole.startswith(shown):
                    piece, shown = whole[len(shown) :], whole
                    if piece:
                        yield piece
            whole = self.base.tokenizer.decode(tokens)
            if len(whole) > len(shown):
                yield whole[len(shown) :]
            ended = "limit" if len(tokens) == sampling.limit else "said"
        finally:
            said = self.base.tokenizer.decode(tokens)
            self.last = Answer(said, len(tokens), time.perf_counter() - started, ended)
            self.history.append((text, said))


def chat(
    base: Base | str | Path,
    adapters: Sequence[str | Path | LoraAdapter | WeightedAdapter] = (),
    *,
    system: str = "",
    template: str | None = None,
    temperature: float | int = 0.0,
    seed: int = 0,
    limit: int = 256,
    writer: str = "auto",
) -> Conversation:
    """Begin a conversation with a base and a stack of adapters; ``say`` asks and prints.

    Args:
        base: A name, a .gguf file, a safetensors folder, or a base that is loaded.
        adapters: The stack, in order: folders of PEFT's or GGUF files, with ":0.5" behind one that counts
            half, or adapters that are loaded.
        system: What stands before the conversation.
        template: How turns become text; the base's chat template, or plain text where it has none.
        temperature: 0 takes the likeliest token each time.
        seed: Of the draws at a temperature above 0.
        limit: Most tokens of an answer.
        writer: "workbench", "llama.cpp", or "auto" for the faster one that can be had.

    Raises:
        InputError: If the base or an adapter can't be used, or they don't belong together.
    """
    sampling = Sampling(temperature=temperature, seed=seed, limit=limit)
    loaded = base if isinstance(base, Base) else load_base(base, "auto")
    stack = []
    for one in adapters:
        if isinstance(one, str | Path):
            path, weight = weighted_path(str(one))
            one = WeightedAdapter(load_adapter(path, loaded), weight)
        elif isinstance(one, LoraAdapter):
            one = WeightedAdapter(one)
        check_fits(one.adapter, loaded)
        stack.append(one)
    return Conversation(loaded, stack, template=template, system=system, sampling=sampling, writer=writer)
