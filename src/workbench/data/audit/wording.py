"""What stands in the texts: refusals, broken characters, other people's turns, other languages."""

import re
from collections import Counter
from functools import cache
from importlib.util import find_spec
from typing import Any

import ftfy

from workbench.data.audit.faults import Fault, Sighting, Subject, around, beginning, fault, parts
from workbench.errors import how_to_install

REFUSALS = re.compile(
    r"\bas an? (?:\w+[ -]){0,2}(?:ai|artificial intelligence|language model)\b(?:[ -]\w+){0,3}?"
    r"(?=,| (?:i|it)\b)|"
    r"\bi(?:'|’)?(?: a)?m (?:just |only )?an? (?:\w+[ -]){0,2}(?:ai|language model)\b|"
    r"\b(?:i (?:can(?:no|['’])t|am (?:not able|unable) to|won['’]t)|i['’]m (?:not able|unable) to) "
    r"(?:\w+ ){0,2}?(?:(?:assist|help|comply)(?: you)? with|fulfill?|answer (?:that|this|your)|"
    r"(?:provide|generate|create|give) (?:you )?(?:any |such |that |this )?(?:information|content|response))|"
    r"\bi(?:['’]m| am) sorry,? but i (?:can(?:no|['’])t|am (?:not able|unable) to|"
    r"don['’]t (?:have|understand))",
    re.IGNORECASE,
)
"""How assistants turn a request down or speak of themselves. Those of Vicuna's filter for ShareGPT and of
WizardLM-uncensored's are among them, without the ones that real answers hold."""
CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]"
)
"""Characters that steer a terminal or turn the direction of text, and those that are none; not tab, new line
and carriage return."""
ASKED_BY = r"(?:#{2,3} ?)?(?:human|user|prompter) ?:"
ANSWERED_BY = r"(?:#{2,3} ?)?(?:assistant|chatgpt|gpt|ai|bot|agent) ?:"
SAME_SIDE, OTHER_SIDE = (re.compile(rf"\s*{role}", re.IGNORECASE) for role in (ANSWERED_BY, ASKED_BY))
"""How a turn begins that an assistant answers, and one that a user asks."""
TURNS = re.compile(
    r"^[ \t]*(?:#{2,3} ?(?:instruction|response|human|assistant|user)\b|"
    rf"{ASKED_BY}.*\n(?:.*\n)*[ \t]*{ANSWERED_BY})",
    re.IGNORECASE | re.MULTILINE,
)
"""Where another turn begins inside a text: a heading of a prompt, or both sides by their names."""
DIALOGUE = re.compile(
    r"dialog|conversation|chat|script|role.?play|interview|interact|exchange|bot\b", re.IGNORECASE
)
"""Prompts that ask for turns."""
FIELD = re.compile(r"^\s*[A-Z][\w ]{0,20}:", re.MULTILINE)
FEWEST_LETTERS = 80
"""A shorter text doesn't tell its language."""
SURE_OF_LANGUAGE = 0.999
LANGUAGE_OF = 160
"""Characters from which a text's language is told."""


def refusals(subject: Subject) -> list[Fault]:
    """Find answers that turn the request down, or speak of themselves as a model."""
    sightings = []
    for record in subject.records:
        if found := REFUSALS.search(record.response):
            text = around(record.response, found.start(), found.end())
            sightings.append(Sighting(record.where, "response", text))
    advice = "Take them out where the base shouldn't learn to refuse; --json names all their places."
    return fault(
        "answers that refuse, or speak of themselves as a model", sightings, len(subject.records), advice
    )


def mojibake(subject: Subject) -> list[Fault]:
    """Find texts that were decoded in a wrong encoding, by ftfy's own measure, or have lost characters."""
    broken, lost = [], []
    for record in subject.records:
        for name, text in parts(record):
            if text.isascii():
                continue
            if ftfy.is_bad(text) and (mended := ftfy.fix_encoding(text)) != text:
                pairs = zip(text, mended, strict=False)
                at = next((at for at, (one, other) in enumerate(pairs) if one != other), len(mended))
                broken.append(Sighting(record.where, name, around(text, at, at + 1)))
                break
            if (at := text.find("\ufffd")) >= 0:
                lost.append(Sighting(record.where, name, around(text, at, at + 1)))
                break
    total = len(subject.records)
    return [
        *fault(
            "text in a wrong encoding (mojibake)",
            broken,
            total,
            "Read the source again in its own encoding, or mend the texts in Python with ftfy.fix_encoding.",
        ),
        *fault(
            "with the character that stands for one that couldn't be read (U+FFFD)",
            lost,
            total,
            "Read the source again in its own encoding, or take them out.",
        ),
    ]


def control_characters(subject: Subject) -> list[Fault]:
    """Find characters that steer a terminal or turn the direction of text, and those that are none."""
    sightings = []
    for record in subject.records:
        for name, text in parts(record):
            if found := CONTROL.search(text):
                sightings.append(Sighting(record.where, name, around(text, found.start(), found.end())))
                break
    return fault(
        "control characters",
        sightings,
        len(subject.records),
        "Take the characters out of the texts; --json names all places.",
    )


def roles(subject: Subject) -> list[Fault]:
    """Find texts that hold more than their own turn, or that the other side says."""
    more, swapped = [], []
    for record in subject.records:
        turns = (*record.history, (record.prompt, record.response))
        if wrong := next((one for asked, answered in turns if (one := _swapped(asked, answered))), ""):
            swapped.append(Sighting(record.where, "turn", beginning(wrong)))
        elif (found := TURNS.search(record.response)) and not _may_hold_turns(record.asked, record.response):
            text = around(record.response, found.start(), min(found.end(), found.start() + 40))
            more.append(Sighting(record.where, "response", text))
    split = (
        "Make a record of each answer, with what came before it as 'history', and leave out the names of the "
        "roles."
    )
    total = len(subject.records)
    return [
        *fault("turns that begin with the other side's role", swapped, total, split),
        *fault("answers that hold another turn", more, total, split),
    ]


def _swapped(asked: str, answered: str) -> str:
    """Return the text of a turn that begins as the other side's does, if one of the two is."""
    if SAME_SIDE.match(asked) and not FIELD.search(asked, asked.index(":") + 1):
        return asked
    if OTHER_SIDE.match(answered) and not FIELD.search(answered, answered.index(":") + 1):
        return answered
    return ""


def _may_hold_turns(asked: str, answered: str) -> bool:
    return "```" in answered or bool(DIALOGUE.search(asked))


def languages(subject: Subject) -> list[Fault]:
    """Find answers in another language than most."""
    told: list[tuple[Sighting, str]] = []
    for record in subject.records:
        text = record.response[:LANGUAGE_OF]
        if sum(map(str.isalpha, text)) >= FEWEST_LETTERS:
            language, probability = _identifier().classify(text)
            if probability >= SURE_OF_LANGUAGE and language != "zxx":  # "zxx": no language, such as code
                told.append((Sighting(record.where, f"response ({language})", beginning(text)), language))
    counts = Counter(language for _, language in told)
    if len(counts) < 2:
        return []
    ((most, _), *others) = counts.most_common()
    named = ", ".join(f"{language} {count:,}" for language, count in others[:10])
    return fault(
        f"answers in another language than most ({most}): {named}",
        [sighting for sighting, language in told if language != most],
        len(told),
        "Take them out unless they are meant; --json names all their places.",
        of="answers long enough to tell",
    )


def no_languages(subject: Subject) -> str:
    """Say that the package that tells languages apart isn't installed."""
    if find_spec("py3langid") is None:
        install = how_to_install("audit")
        return f"py3langid isn't installed, which tells languages apart; install it with `{install}`"
    return ""


@cache
def _identifier() -> Any:  # noqa: ANN401 - a class of an optional package
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
