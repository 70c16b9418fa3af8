"""Conversations: a list of turns, each with who says it and what is said.

A conversation becomes one record: its last answer is the response, what was asked before it the prompt, and
every earlier turn the history. ShareGPT's turns have "from" and "value", OpenAI's "role" and "content";
either is taken in both. As FastChat does, an answer before the first question and a question behind the last
answer are left out, which a note counts; anything else that is no exchange of questions and answers is named.
A text in several parts is their texts, each on a line of its own.

Source: https://github.com/lm-sys/FastChat, ``fastchat/train/train.py`` (a leading answer) and
``fastchat/data/split_long_conversation.py`` (pairs of turns); OpenAI's chat format:
https://platform.openai.com/docs/api-reference/chat.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.data.records import Record
from workbench.data.sources.items import Item, kind_in_words, shortened
from workbench.data.sources.layouts.layout import Keys, Row, Unusable, needed, without

TURN_ROLES = {
    **dict.fromkeys(("human", "user", "prompter"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
"""What each name of a role means."""
OF_TOOLS = {"tool", "function", "observation", "ipython", "function_call", "function_response", "tool_call"}
"""Roles of programs, which are neither asked nor answered in words."""
LEADING = "begin with an answer to nothing, which is left out"
TRAILING = "end with a question that nobody answers, which is left out"


def is_conversation(value: object) -> bool:
    """Say whether a value is a list of turns, as far as its first one tells."""
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and any({"from", "role"} & turn.keys() for turn in value if isinstance(turn, dict))
    )


def has_messages(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object has a list under the conversation's key."""
    return isinstance(values.get(keys["messages"]), list)


def conversation_rows(item: Item, keys: Keys) -> Iterator[Row]:
    """Yield the record of a conversation."""
    key = keys["messages"]
    yield conversation(item, keys, needed(item, key), (key,))


def prompt_and_completion(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object has a conversation in two parts, as TRL writes it."""
    return is_conversation(values.get("prompt")) and is_conversation(values.get("completion"))


def prompt_and_completion_rows(item: Item, keys: Keys) -> Iterator[Row]:
    """Yield the record of a conversation in two parts."""
    parts = [needed(item, key) for key in ("prompt", "completion")]
    odd = next((part for part in parts if not isinstance(part, list)), None)
    turns = [turn for part in parts for turn in part] if odd is None else odd
    yield conversation(item, keys, turns, ("prompt", "completion"))


def conversation(item: Item, keys: Keys, messages: object, taken: tuple[str, ...]) -> Row:
    """Return the record of a conversation.

    Args:
        item: The object that has it.
        keys: Of its id and of a system text beside the turns.
        messages: Its turns.
        taken: The keys that the turns were taken from.

    Raises:
        Unusable: If it is no exchange of questions and answers.
    """
    if not isinstance(messages, list):
        raise Unusable("without a list of turns", kind_in_words(messages))
    system, turns, remarks = _exchange([_turn(turn, number) for number, turn in enumerate(messages, 1)])
    fields = {"id": keys["id"], "system_prompt": keys["system"]}
    return Row(
        place=item.place,
        values={
            "system": system,
            **exchange_values(turns),
            **{name: item.values[key] for name, key in fields.items() if key in item.values},
        },
        columns=without(item.values, *taken, *fields.values()),
        names={
            "prompt": "last question",
            "response": "last answer",
            "system": "the system turn",
            "system_prompt": repr(keys["system"]),
            "id": repr(keys["id"]),
        },
        remarks=remarks,
    )


def exchange_values(texts: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a record for what was asked and answered in turn, the last answer included."""
    pairs = [[asked, answered] for asked, answered in zip(texts[::2], texts[1::2], strict=True)]
    return {"history": pairs[:-1], "prompt": pairs[-1][0], "response": pairs[-1][1]}


def count_turns(items: Sequence[Item], records: Sequence[Record]) -> str:
    """Say how many conversations there are, and how many answers in them."""
    answers = sum(len(record.history) + 1 for record in records)
    return f"{len(records):,} conversations, {answers:,} assistant turns"


def _turn(turn: object, number: int) -> tuple[str, str, str]:
    """Return a turn's role, its name in the file, and its text."""
    if not isinstance(turn, dict):
        raise Unusable("with a turn that is no object", f"turn {number} is {kind_in_words(turn)}")
    name = turn.get("from", turn.get("role"))
    role = TURN_ROLES.get(name.lower()) if isinstance(name, str) else None
    if (isinstance(name, str) and name.lower() in OF_TOOLS) or turn.get("tool_calls"):
        raise Unusable("with a tool's call or result, which isn't read", f"turn {number}")
    if role is None:
        raise Unusable("with a turn of nobody that is known", f"turn {number} is from {_shown(name)}")
    if role == "assistant" and turn.get("weight") == 0:
        raise Unusable("with an answer of weight 0, which isn't to be learnt", f"turn {number}")
    return role, str(name), _text(turn.get("value", turn.get("content")), number)


def _text(value: object, number: int) -> str:
    """Return a turn's text; one in several parts is a text where all of them are."""
    if isinstance(value, list):
        parts = [part.get("text") if _is_text(part) else part for part in value]
        odd = next((part for part in parts if not isinstance(part, str)), None)
        if odd is not None:
            kind = odd.get("type") if isinstance(odd, dict) else odd
            raise Unusable(
                "with a part that isn't text, such as a picture", f"turn {number} has {_shown(kind)}"
            )
        return "\n".join(str(part) for part in parts)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable("with a turn whose text isn't one", f"turn {number} has {kind_in_words(value)}")
    return value


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text")


def _exchange(turns: Sequence[tuple[str, str, str]]) -> tuple[str, list[str], list[str]]:
    """Return the system text, what was asked and answered in turn, and remarks on what was left out."""
    first = next((place for place, turn in enumerate(turns) if turn[0] != "system"), len(turns))
    system = "\n\n".join(text for _, _, text in turns[:first])
    said = list(enumerate(turns[first:], first + 1))
    remarks = []
    if said and said[0][1][0] == "assistant":
        said, remarks = said[1:], [LEADING]
    for place, (number, (role, name, text)) in enumerate(said):
        if role == "system":
            raise Unusable("with a system text behind the first turn", f"turn {number}")
        if role != ("assistant" if place % 2 else "user"):
            raise Unusable("whose roles don't alternate", f"turn {number} is from {_shown(name)}")
        if not text.strip():
            raise Unusable("with an empty turn", f"turn {number}, from {_shown(name)}", "on_empty")
    if len(said) % 2:
        said, remarks = said[:-1], [*remarks, TRAILING]
    if not said:
        raise Unusable("without an answer to a question")
    return system, [text for _, (_, _, text) in said], remarks


def _shown(value: object) -> str:
    return shortened(json.dumps(value, ensure_ascii=False, default=str))
