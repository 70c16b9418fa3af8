"""``workbench chat``: talk to a base with a stack of adapters."""

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.chatting.conversation import Conversation

HELP = """\
/weigh 2 0.5       the second adapter counts half from now on; 0 takes it out, 1 puts it in whole
/stack             the adapters and their weights
/system TEXT       what stands before the conversation; begins a new one
/temperature 0.7   how freely words are drawn; 0 takes the likeliest
/seed 3            of the draws
/new               a new conversation
/help              this
/quit              or the end of the input
Ctrl-C stops an answer; what was written counts as said."""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "chat",
        description="Talk to a base with a stack of adapters. Answers appear as they are written; the "
        "weights of adapters may change between two answers. Nothing leaves this machine.",
        epilog=f"While you talk:\n{HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", help="smollm2-135m, a .gguf file or a safetensors folder")
    parser.add_argument(
        "--adapter",
        action="append",
        default=[],
        metavar="FILE[:WEIGHT]",
        help="an adapter (a PEFT folder such as STUDY/adapters/KEY, or a GGUF file), with what its change is "
        "multiplied by (default 1); may be given several times",
    )
    parser.add_argument("--system", default="", metavar="TEXT", help="what stands before the conversation")
    parser.add_argument("--template", help="how turns become text (default: the base's own, or plain)")
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="0 takes the likeliest token each time (default)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws at a temperature above 0")
    parser.add_argument("--limit", type=int, default=256, metavar="N", help="most tokens of an answer")
    parser.add_argument(
        "--with",
        dest="writer",
        default="auto",
        help="who writes: workbench, llama.cpp, or auto (llama.cpp where it is installed and can take the "
        "files, for it is faster)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Talk until the input ends."""
    from workbench.chatting.conversation import chat

    with chat(
        arguments.base,
        arguments.adapter,
        system=arguments.system,
        template=arguments.template,
        temperature=arguments.temperature,
        seed=arguments.seed,
        limit=arguments.limit,
        writer=arguments.writer,
    ) as conversation:
        print(
            f"{conversation.base}\n{conversation.note}. /help says what else can be typed.", file=sys.stderr
        )
        while (line := _line()) is not None:
            try:
                if not _turn(conversation, line.strip()):
                    return 0
            except InputError as error:
                # one bad line doesn't end a conversation
                print(f"workbench: {error}", file=sys.stderr)
    return 0


def _line() -> str | None:
    """Return the next line that is typed or piped in; None at the end."""
    if sys.stdin.isatty():
        with contextlib.suppress(EOFError):
            return input("> ")
        return None
    return sys.stdin.readline() or None


def _turn(conversation: "Conversation", line: str) -> bool:
    """Do what a line says; returns whether the conversation goes on."""
    if not line:
        return True
    if not line.startswith("/"):
        _answer(conversation, line)
        return True
    name, _, rest = line[1:].partition(" ")
    if name == "quit":
        return False
    if name not in SAID:
        raise InputError(f"there is no /{name}; /help has what there is")
    SAID[name](conversation, rest.strip())
    return True


def _answer(conversation: "Conversation", question: str) -> None:
    from psutil import Process

    last = conversation.say(question)
    ends = {"said": "", "limit": ", cut at the limit", "stopped": ", stopped"}[last.ended]
    memory = Process().memory_info().rss / 2**20
    print(f"  [{last.tokens} tokens, {last.rate:.1f} a second, {memory:,.0f} MB{ends}]", file=sys.stderr)


def _stack(conversation: "Conversation", rest: str) -> None:
    if not conversation.adapters:
        print("no adapter: the base alone", file=sys.stderr)
    for place, one in enumerate(conversation.adapters, start=1):
        print(f"{place}  {one.weight:g}  {one.adapter.name}", file=sys.stderr)


def _weigh(conversation: "Conversation", rest: str) -> None:
    place, _, weight = rest.partition(" ")
    if not place.isdigit():
        raise InputError(f"/weigh {rest}: give an adapter by its number in /stack and a weight: /weigh 1 0.5")
    conversation.weigh(int(place) - 1, _number("weight", weight, f"/weigh {rest}"))
    _stack(conversation, "")


def _system(conversation: "Conversation", rest: str) -> None:
    conversation.system = rest
    conversation.forget()


def _new(conversation: "Conversation", rest: str) -> None:
    conversation.forget()


def _temperature(conversation: "Conversation", rest: str) -> None:
    from dataclasses import replace

    number = _number("temperature", rest, f"/temperature {rest}")
    conversation.sampling = replace(conversation.sampling, temperature=number)


def _seed(conversation: "Conversation", rest: str) -> None:
    from dataclasses import replace

    if not rest.isdigit():
        raise InputError(f"/seed {rest}: the seed is a whole number, such as /seed 3")
    conversation.sampling = replace(conversation.sampling, seed=int(rest))


def _help(conversation: "Conversation", rest: str) -> None:
    print(HELP, file=sys.stderr)


def _number(what: str, text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if found - found != 0.0:
        raise InputError(f"{where}: the {what} is {text!r}; expected a number, such as 0.5")
    return found


SAID = {
    "weigh": _weigh,
    "stack": _stack,
    "system": _system,
    "temperature": _temperature,
    "seed": _seed,
    "new": _new,
    "help": _help,
}
"""What a line may begin with, behind a slash."""
