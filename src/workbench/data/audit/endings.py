"""How answers end: cut off, with an end mark written into the text, or with padding."""

import re
from collections.abc import Sequence

from workbench.data.audit.faults import Fault, Sighting, Subject, around, ending, fault, parts
from workbench.data.records import Record

MARKS = re.compile(
    r"<\|[a-z][a-z_]{1,23}\|>|</s>|^<s>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|<(?:pad|eos|bos)>|\[PAD\]"
    r"|//EOM//",
    re.IGNORECASE,
)
"""Special tokens of well-known bases, as they are written out in texts."""
PADS = ("<pad>", "[pad]", "<|pad|>", "<|padding|>")
LONGEST_MARK = 64
"""Characters in which the last one of a text has to stand."""
FEWEST_WORDS = 4
"""Shorter answers, such as labels and titles, don't end like a sentence."""
MOST_OTHERS = 0.8
"""Where fewer answers end with a mark, one without isn't unusual."""
FEWEST_OTHERS = 10
"""The same for so few answers."""
ENDED = re.compile(r"[.!?…:;。！？｡।؟։]['\"”’»›)\]}*_`~>\s]*$")
"""A sentence that ends, whatever closes around it."""
NO_SENTENCE = re.compile(r" [=+*/] |https?://\S+$|[#@]\w+$|[-–—] ?[A-Z][^.!?]{0,40}$|[\d_]$|[^\w\s,’-]$")
"""What asks for no mark at its end: a formula, an address, a tag, a name below a quotation, a number, code, a
picture."""
LIST_LINE = re.compile(r"\s{2,}|\t|\s*(?:[-*•●○–+>#|]|\(?\w{1,3}(?:[.):]| [-–])\s|[A-Z][\w ]{0,40}:)")
"""A line that is an item, a heading, a field, or set in like code."""
OPEN = re.compile(
    r"(?:(?<=[^\W,] )(?:the|an|whose|my|your|their|our)|(?<=\w[, ] )(?:and|or|but|because|although)|"
    r"(?<=\w )(?:and|or|but|because|although)|[(\[{“]|\w,)$",
    re.IGNORECASE,
)
"""Words and marks after which a sentence goes on."""
TITLE = 0.5
"""Share of words with a capital above which a line is a title or a row of names."""
LISTED = 0.3
"""Commas a word above which a line is a list."""
LAST = 60
"""Characters at an end that tell how it ends."""
SHORT_LINE = 8
"""Words of a line that may end with a comma all the same, such as a letter's greeting."""


def cut_off(subject: Subject) -> list[Fault]:
    """Find answers that stop in the middle, with and without an end mark behind them."""
    marks = _marks(subject)
    answers = [(record, *_without_marks(record.response, marks)) for record in subject.records]
    stopped = [(record, text, tail) for record, text, tail in answers if _stops_in_the_middle(text)]
    sentences = [(record, text, tail) for record, text, tail in answers if _sentences(text)]
    unended = [one for one in sentences if not _ended(one[1]) and not _stops_in_the_middle(one[1])]
    others = 1.0 - len(unended) / max(1, len(sentences))
    unusual = MOST_OTHERS <= others < 1.0 and len(sentences) >= FEWEST_OTHERS
    total = len(subject.records)
    found = fault(
        "answers that stop in the middle of a sentence",
        [_end(record) for record, _, tail in stopped if not tail],
        total,
        "Take them out or complete them: the base learns to stop there.",
    )
    found += fault(
        f"answers without a mark at the end of their last sentence, as {others:.1%} of such have one",
        [_end(record) for record, _, tail in unended if not tail] if unusual else [],
        total,
        "Look whether they are cut off; if they are, take them out or complete them.",
    )
    found += fault(
        "answers that stop in the middle, with an end mark behind that",
        [_end(record) for record, _, tail in [*stopped, *(unended if unusual else [])] if tail],
        total,
        "They were cut at a limit and then marked as ended, so the base learns to stop anywhere. Take them "
        "out or complete them.",
    )
    marked = [one for one in answers if one[2]]
    if MOST_OTHERS <= len(marked) / max(1, total) < 1.0 and total >= FEWEST_OTHERS:
        known = {id(record) for record, _, _ in (*stopped, *(unended if unusual else []))}
        found += fault(
            f"answers without the end mark that {len(marked) / total:.1%} have",
            [_end(record) for record, _, tail in answers if not tail and id(record) not in known],
            total,
            "Look whether they are cut off; if they are, take them out or complete them.",
        )
    return found


def end_marks(subject: Subject) -> list[Fault]:
    """Find special tokens that are written out in texts; padding is told apart from them."""
    marks = _marks(subject)
    sightings = []
    for record in subject.records:
        if _padding(record.response, marks):
            continue
        found = ((name, text, marks.search(text)) for name, text in parts(record))
        seen = next(((name, text, one) for name, text, one in found if one), None)
        if seen:
            name, text, one = seen
            sightings.append(Sighting(record.where, name, around(text, one.start(), one.end())))
    return fault(
        "special tokens written out in the text",
        sightings,
        len(subject.records),
        "Take them out of the texts: the workbench puts the base's own end mark behind each answer.",
    )


def padding(subject: Subject) -> list[Fault]:
    """Find answers with padding behind them."""
    marks = _marks(subject)
    padded = [(record, run) for record in subject.records if (run := _padding(record.response, marks))]
    same = [_end(record) for record, run in padded if len(set(run)) == 1]
    other = [_end(record) for record, run in padded if len(set(run)) > 1]
    advice = "Take the padding out of the texts: the workbench pads nothing, and marks each end itself."
    masked = "Where padding is left out of the loss, the end mark goes with it and no stop is learnt."
    total = len(subject.records)
    return [
        *fault("answers padded with their end mark", same, total, f"{masked} {advice}"),
        *fault("answers with padding", other, total, advice),
    ]


def _marks(subject: Subject) -> re.Pattern[str]:
    if subject.base is None:
        return MARKS
    own = sorted(subject.base.marks, key=len, reverse=True)
    return re.compile("|".join([*map(re.escape, own), MARKS.pattern]), MARKS.flags)


def _tail(text: str, marks: re.Pattern[str]) -> tuple[str, list[str]]:
    """Return a text without the marks at its end, and these."""
    left, run = text.rstrip(), list[str]()
    if not marks.search(left, max(0, len(left) - LONGEST_MARK)):
        return left, run
    found = list(marks.finditer(left))
    while found and found[-1].end() == len(left):
        run.insert(0, found[-1].group())
        left = left[: found.pop().start()].rstrip()
    return left, run


def _without_marks(text: str, marks: re.Pattern[str]) -> tuple[str, bool]:
    left, run = _tail(text, marks)
    return left, bool(run)


def _padding(text: str, marks: re.Pattern[str]) -> list[str]:
    """Return the marks at the end of an answer if they are padding: two alike, or one that is made for it."""
    run = _tail(text, marks)[1]
    twice = len(run) > 1 and run[-1] == run[-2]
    return run if twice or any(one.lower() in PADS for one in run) else []


def _sentences(text: str) -> bool:
    """Whether an answer's last line is one that ends with a mark where people write with marks."""
    *before, last = [line for line in text.split("\n") if line.strip()] or [""]
    words = last.split()
    if len(words) < FEWEST_WORDS or "```" in text or LIST_LINE.match(last):
        return False
    if _ended(text):
        return True
    verse = bool(before) and not _ended(before[-1])
    title = sum(word[0].isupper() for word in words) > TITLE * len(words)
    listed = last.count(",") > LISTED * len(words)
    return not (verse or title or listed or NO_SENTENCE.search(last))


def _ended(text: str) -> bool:
    return bool(ENDED.search(text[-LAST:]))


def _stops_in_the_middle(text: str) -> bool:
    last = text.rsplit("\n", 1)[-1]
    words = last.split()
    if len(words) < FEWEST_WORDS or "```" in text or not OPEN.search(last[-LAST:]):
        return False
    # a letter's last line, and the like
    return not (last.endswith(",") and len(words) < SHORT_LINE)


def _end(record: Record) -> Sighting:
    return Sighting(record.where, "response", ending(record.response))


def nothing_said(subject: Subject) -> list[Fault]:
    """Find records that ask or answer nothing."""
    return fault(
        "empty prompts or responses",
        _unusable(subject, "on_empty"),
        len(subject.records) + len(subject.unusable),
        "Leave them out with --on-empty drop of `workbench run`.",
    )


def no_record(subject: Subject) -> list[Fault]:
    """Find what isn't a record, such as a line that isn't JSON or roles that don't alternate."""
    kinds: dict[str, list[Sighting]] = {}
    for sighting in _unusable(subject, "on_bad"):
        kinds.setdefault(sighting.part, []).append(sighting)
    return [
        one
        for what, sightings in kinds.items()
        for one in fault(
            f"can't be read: {what}",
            sightings,
            len(subject.records) + len(subject.unusable),
            "Mend them, or leave them out with --on-bad drop of `workbench run`.",
        )
    ]


def _unusable(subject: Subject, option: str) -> Sequence[Sighting]:
    firsts = [record[0] for record in subject.unusable]
    return [Sighting(one.place, one.what, one.detail) for one in firsts if one.option == option]
