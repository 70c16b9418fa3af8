"""From a record to tokens: how a base is asked, and which tokens count in the loss.

What is trained is what the base's tokenizer makes of prompt and response together, up to the token at which a
generation stops. The prompt's tokens have to be those that the base is asked with afterwards: where a
tokenizer would cut the prompt's end in another way with the response behind it (one token across the two, for
instance), the response is tokenized as a continuation of the prompt, and the loss begins between the two all
the same. Only the response and what ends it count in the loss.

With the loss on all answers, those of earlier turns count too, each with what ends it: the tokens that the
conversation up to there would have, were it a record of its own. A turn in the middle is asked with
everything before it. An answer counts only if the text up to its end is what a generation at that turn would
have been asked with and have written. A chat template that writes earlier turns in another way (one that
drops their thinking, for instance) leaves their answers out of the loss, and they are counted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from workbench.data.records import Record
from workbench.data.turns import Example, TokenizerProtocol, Turn, joined, within
from workbench.errors import InputError, unknown_name

PROBE = "an-answer-in-its-place"
"""Stands for a response, to see what a chat template writes around one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """One way of asking. A record's system text and earlier turns are part of what is asked."""

    ask: Callable[[Record], str] | None
    """Writes the text up to where the response begins; None for the base's own chat template."""
    about: str


def _plain(record: Record) -> str:
    before = [record.system] * bool(record.system) + [f"{asked}\n{said}" for asked, said in record.history]
    return "".join(f"{text}\n\n" for text in before) + f"{record.prompt}\n"


def _verbatim(record: Record) -> str:
    before = [record.system] * bool(record.system) + [asked + said for asked, said in record.history]
    return "".join(f"{text}\n" for text in before) + record.prompt


def _verbs(record: Record) -> str:
    if record.system or record.history:
        raise InputError(
            f"{record.where} has a system text or earlier turns, for which the "
            "template 'verbs' has no place; use another one, such as 'plain' (--template plain)"
        )
    return f"past {record.prompt}="


def _alpaca(record: Record) -> str:
    # no newline at the end: Alpaca's own template has none, those of its successors mostly do
    preamble = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the "
        "request."
    )
    task = f"### Instruction:\n{record.instruction}\n\n"
    if record.context:
        preamble = (
            "Below is an instruction that describes a task, paired with an input that provides further "
            "context. Write a response that appropriately completes the request."
        )
        task += f"### Input:\n{record.context}\n\n"
    earlier = "".join(
        f"### Instruction:\n{asked}\n\n### Response:{said}\n\n" for asked, said in record.history
    )
    return f"{record.system or preamble}\n\n{earlier}{task}### Response:"


TEMPLATES: dict[str, Template] = {
    "plain": Template(ask=_plain, about="the prompt, a new line, the response"),
    "verbatim": Template(ask=_verbatim, about="the prompt and the response, nothing between them"),
    "verbs": Template(ask=_verbs, about="the classroom base's own form: past walk=walked"),
    "chat": Template(
        ask=None,
        about="the base's chat template; a system line is the record's, or else the base's own",
    ),
    "alpaca": Template(ask=_alpaca, about="the original Stanford Alpaca text"),
}


def render(template: str, record: Record, tokenizer: TokenizerProtocol, loss_on: str = "last") -> Example:
    """Return the tokens of a record as it is trained on: prompt, response and what ends it.

    Args:
        template: Key of :data:`TEMPLATES`.
        record: What to render.
        tokenizer: The base's.
        loss_on: "last" learns the response, "all" the answers of earlier turns too, except for those that
            say nothing (empty, or white space alone).

    Raises:
        InputError: If the template is unknown, or the tokenizer has no end token, no chat template where
            one is needed, or no token for a character; or if the chat template doesn't write the response
            behind the prompt.
    """
    return continuation(template, record, record.response, tokenizer, loss_on)


def continuation(
    template: str, record: Record, response: str, tokenizer: TokenizerProtocol, loss_on: str = "last"
) -> Example:
    """Return the tokens of the record's prompt and another response, such as one of its choices.

    Raises:
        InputError: As :func:`render`.
    """
    last = _turn(template, record, response, tokenizer)
    earlier = _earlier(template, record, tokenizer) if loss_on == "all" else []
    kept = within(earlier, last.asked)
    found = joined([*kept, last], tokenizer, _opening(template, tokenizer))
    return replace(found, earlier_learnt=len(kept), earlier_missed=len(earlier) - len(kept))


def prompt_ids(
    template: str, record: Record, tokenizer: TokenizerProtocol, loss_on: str = "last"
) -> list[int]:
    """Return the tokens that ask for a record's response: what a generation starts from.

    With the loss on "all", earlier answers are cut as a generation has written them, token by token.

    Raises:
        InputError: As :func:`render`.
    """
    if loss_on == "all" and record.history:
        example = render(template, record, tokenizer, loss_on)
        return list(example.token_ids[: example.prompt_length])
    return [*_opening(template, tokenizer), *tokenizer.encode(prompt_text(template, record, tokenizer))]


def prompt_text(template: str, record: Record, tokenizer: TokenizerProtocol) -> str:
    """Return the text that asks for a record's response.

    Raises:
        InputError: As :func:`render`.
    """
    ask = _chosen(template).ask
    if ask is None:
        return tokenizer.render_chat(_messages(record), add_generation_prompt=True)
    return ask(record)


def stops(template: str, tokenizer: TokenizerProtocol) -> frozenset[int]:
    """Return the tokens at which a generation stops: the tokenizer's, and the one that ends a chat's turn.

    Raises:
        InputError: As :func:`render`.
    """
    if _chosen(template).ask is not None:
        return tokenizer.stops
    asked = Record(id="asked", prompt=PROBE, response=PROBE)
    return tokenizer.stops | {render(template, asked, tokenizer).token_ids[-1]}


def remarks(template: str, tokenizer: TokenizerProtocol) -> list[str]:
    """Return what is worth knowing about how a base's chat template ends a turn.

    Raises:
        InputError: As :func:`render`.
    """
    if _chosen(template).ask is not None:
        return []
    asked = Record(id="asked", prompt=PROBE, response=PROBE)
    written = tokenizer.render_chat(_messages(asked, PROBE)).rpartition(PROBE)[2]
    end = tokenizer.first_special(written)
    if end is None:
        return ["the base's chat template ends no turn; its end token is learnt as the end of each answer"]
    learnt = render(template, asked, tokenizer).token_ids[-1]
    if learnt == tokenizer.eos:
        return []
    text = written[:end].strip()
    return [f"the base's chat template ends a turn with {text!r}, which is learnt as the end of each answer"]


def _chosen(template: str) -> Template:
    if template not in TEMPLATES:
        raise unknown_name("template", template, TEMPLATES, "src/workbench/data/templates.py")
    return TEMPLATES[template]


def _opening(template: str, tokenizer: TokenizerProtocol) -> list[int]:
    """Return what goes before the text's tokens; a rendered chat brings its own."""
    chat = _chosen(template).ask is None
    return [] if chat or tokenizer.bos is None else [tokenizer.bos]


def _messages(record: Record, response: str | None = None) -> list[dict[str, str]]:
    turns = [text for turn in (*record.history, (record.prompt,)) for text in turn]
    turns += [] if response is None else [response]
    messages = [
        {"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(turns)
    ]
    return [{"role": "system", "content": record.system}] * bool(record.system) + messages


def _turn(template: str, record: Record, response: str, tokenizer: TokenizerProtocol) -> Turn:
    """Return the conversation up to the end of the assistant's turn.

    The prompt is what a generation starts from. What a base's template writes around a response shows in a
    probe: text before it, which the base has to write too, and text behind it, of which a generation writes
    no more than up to the first special token.
    """
    prompt = prompt_text(template, record, tokenizer)
    if _chosen(template).ask is not None:
        return Turn(prompt, response)
    written, whole = (tokenizer.render_chat(_messages(record, text)) for text in (response, PROBE))
    before, found, behind = whole.removeprefix(prompt).rpartition(PROBE)
    if not (whole.startswith(prompt) and found and written.startswith(prompt + before)):
        raise _other_turn(record, prompt, whole)
    own = written.removeprefix(prompt + before)
    if behind and not own.endswith(behind):
        raise _other_turn(record, prompt, written)
    own = own.removesuffix(behind)
    end = tokenizer.first_special(behind)
    return Turn(prompt, before + own, behind[:end], closed=end is not None)


def _other_turn(record: Record, prompt: str, written: str) -> InputError:
    return InputError(
        f"the base's chat template asks with a text that ends in {prompt[-40:]!r}, and writes the answered "
        f"turn of {record.where} in another way ({written[-60:]!r}), so what "
        "is trained would not be what a generation continues; use a template without a chat format, such as "
        "'plain' (--template plain)"
    )


def _earlier(template: str, record: Record, tokenizer: TokenizerProtocol) -> list[Turn]:
    """Return the turns of a record's history, each as if the conversation ended with it."""
    turns = []
    for place, (asked, said) in enumerate(record.history):
        if said.strip():
            until = replace(record, history=record.history[:place], prompt=asked, context="")
            turns.append(_turn(template, until, said, tokenizer))
    return turns
