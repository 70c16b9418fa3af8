"""Texts on which a model and what was written of it are compared: the ones shipped, or a file's.

A base that can't read all characters gets those that it can. The shipped ones were written for this purpose;
they ask for several kinds of knowledge, in several scripts, so that most rows of the weights have work to do.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import InputError
from workbench.files import not_read
from workbench.models.tokenizer import Tokenizer

LONGEST = 128
"""Tokens of a text that are compared; what comes after them is left out."""
KEYS = ("prompt", "instruction", "question", "text", "turns")
"""Keys of a JSON record under which its text is looked for, the first that is there."""

PROMPTS = (
    "What is the capital of France, and which river runs through it?",
    "Explain in two sentences why the sky is blue.",
    "Write a short, polite letter that declines an invitation to a wedding.",
    "If a train leaves at 9:40 and arrives at 13:05, how long does the journey take?",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "Name three differences between a frog and a toad.",
    "Translate into German: The library closes at six on Saturdays.",
    "Give me a recipe for a soup with lentils, carrots and one spice of your choice.",
    "The past tense of 'go' is 'went'. The past tense of 'bring' is",
    "Summarise: The committee met on Tuesday. It approved the budget, but put off the question of the roof.",
    "Who wrote 'Pride and Prejudice', and when was it published?",
    "1, 1, 2, 3, 5, 8, 13,",
    "Erkläre einem Kind, warum es im Winter früher dunkel wird.",
    "Is the following review positive or negative? 'I waited an hour and the food was cold.'",
    "SELECT name, count(*) FROM visits WHERE year = 2024 GROUP BY",
    "Qu'est-ce qu'un nombre premier ? Donne cinq exemples.",
)
"""What is asked of both."""

RUNNING_TEXTS = (
    "Water boils at a lower temperature on a mountain because the air presses less on its surface. Cooks who "
    "live high up let their potatoes simmer for longer.",
    "The bridge was closed for repairs in March. Since then, the bus has taken the long way round, past the "
    "mill and the old school, and nobody in the village arrives on time any more.",
    "To sort a list, take its first item as a pivot, put the smaller items before it and the larger ones "
    "after it, and do the same with both parts.",
    "She counted the coins twice. There were forty-one of them, most of them copper, and one so worn that "
    "neither face could be told.",
    "A contract needs an offer and its acceptance. Silence is, as a rule, no acceptance.",
    "Bees tell each other the way to a meadow by a dance, in which the angle stands for the direction and "
    "the length for the distance.",
)
"""Running text on which the loss is measured."""


def read_texts(path: Path) -> list[str]:
    """Read texts from a file: one a line, or JSON Lines with one of :data:`KEYS` in each record.

    Raises:
        InputError: If the file can't be read, holds none, or a line of JSON has none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise not_read(path, error) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} isn't UTF-8 text ({error.reason}); save it as UTF-8") from error
    as_json = path.suffix.lower() in (".jsonl", ".json", ".ndjson")
    found = [
        _text_of(path, number, line) if as_json else line
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not found:
        raise InputError(f"{path} holds no text; give a file with one prompt a line, or JSON Lines")
    return found


def _text_of(path: Path, number: int, line: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}, line {number}: it isn't JSON ({error}); give JSON Lines, or .txt with one text a line"
        ) from error
    for key in KEYS if isinstance(record, dict) else ():
        value = record.get(key)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str) and value.strip():
            return value
    raise InputError(f"{path}, line {number}: none of {', '.join(KEYS)} holds a text; name it as one of them")


def as_read_by(tokenizer: Tokenizer, text: str) -> str:
    """Return the text, without the characters that the base can't read."""
    try:
        tokenizer.encode(text)
    except InputError:
        return "".join(one for one in text.lower() if _reads(tokenizer, one))
    return text


def _reads(tokenizer: Tokenizer, character: str) -> bool:
    try:
        tokenizer.encode(character)
    except InputError:
        return False
    return True


def asked(tokenizer: Tokenizer, prompts: Sequence[str]) -> list[str]:
    """Return the texts that a base is asked with: through its chat template where it has one."""
    texts = [as_read_by(tokenizer, prompt) for prompt in prompts]
    if tokenizer.chat_template is None:
        return texts
    try:
        return [
            tokenizer.render_chat([{"role": "user", "content": text}], add_generation_prompt=True)
            for text in texts
        ]
    except InputError:
        return texts  # a template of other roles: the plain text shows the weights as well


def token_ids(tokenizer: Tokenizer, text: str, context: int) -> tuple[int, ...]:
    """Return the tokens of a text that are compared, with the base's own beginning."""
    start = [] if tokenizer.bos is None else [tokenizer.bos]
    ids = tokenizer.encode(text)
    ids = ids if ids[:1] == start else [*start, *ids]
    return tuple(ids[: min(LONGEST, context)])
