"""Word-form tasks for pre-training the classroom base: what English does to a word, but for the past tense.

A task turns one word into another: ``plural box=boxes``, ``ing bake=baking``, ``er bake=baker``. Inflections,
there and back, come from the word table of ``lemminflect``. Derivations are pairs of its words that differ
by a prefix, or by a suffix and the spelling that it asks for: ``happy`` and ``happiness``.

The past tense is what the base is tuned on later. So that it is new, no word that is a past tense or a
participle, or that ends in -ed, occurs here, neither in a prompt nor as an answer.
"""

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from workbench.data.chance import generator, number, pick

INFLECTIONS: dict[str, dict[int, tuple[str, str]]] = {
    "noun": {2: ("plural", "singular")},
    "verb": {4: ("ing", "base"), 5: ("third", "base")},
    "adj": {2: ("more", "plain"), 3: ("most", "plain")},
    "adv": {2: ("more", "plain"), 3: ("most", "plain")},
}
"""Part of speech -> column of its rows -> (task that makes that form, task that undoes it)."""

NOUN_PREFIXES = (
    *("un", "re", "over", "non", "in", "dis", "pre", "out", "under", "sub", "inter", "anti", "mis"),
)
SUFFIXES = (
    *("er", "ness", "ly", "able", "less", "ful", "ment", "ation", "ion", "ish", "ist", "ism", "y", "ic"),
    *("al", "ous", "ity", "ive", "ize", "ship", "age", "or", "en", "ate", "ant", "ance"),
)
REVERSE = "reverse"
"""A task on strings of any printable characters, so that none of them is strange to the base."""

WordForms = Sequence[str]
"""A row of the word table: lemma, part of speech, forms; see :mod:`workbench.data.sources.verbs`."""


@dataclass(frozen=True, slots=True, order=True)
class WordTask:
    """One example."""

    task: str
    word: str
    answer: str

    @property
    def prompt(self) -> str:
        """The text that asks for the answer."""
        return f"{self.task} {self.word}="

    @property
    def stem(self) -> str:
        """What all forms of a word share, roughly: its first five letters."""
        return self.word[:5]


def word_tasks(rows: Iterable[WordForms]) -> list[WordTask]:
    """Return every example that the word table gives, sorted, each once."""
    kept = [row for row in rows if re.fullmatch("[a-z]{2,}", row[0])]
    past = past_forms(kept)

    def allowed(word: str) -> bool:
        return bool(re.fullmatch("[a-z]{2,}", word)) and not word.endswith("ed") and word not in past

    found = {*inflections(kept), *derivations({row[0] for row in kept})}
    return sorted(task for task in found if allowed(task.word) and allowed(task.answer))


def past_forms(rows: Iterable[WordForms]) -> set[str]:
    """Return every past tense and participle that isn't the verb itself: ``went``, but not ``put``."""
    verbs = (row for row in rows if row[1] == "verb")
    return {form for row in verbs for column in row[2:4] for form in column.split("/") if form != row[0]}


def inflections(rows: Iterable[WordForms]) -> Iterator[WordTask]:
    """Yield each form, first variant only, from its lemma, and the lemma from the form."""
    for lemma, part, *forms in rows:
        for column, (there, back) in INFLECTIONS[part].items():
            form = forms[column - 2].split("/")[0]
            if form and form != lemma:
                yield WordTask(there, lemma, form)
                yield WordTask(back, form, lemma)


def derivations(lemmas: set[str]) -> Iterator[WordTask]:
    """Yield pairs of known words where a prefix or a suffix turns one into the other."""
    for word in lemmas:
        if len(word) < 3:
            continue
        for prefix in NOUN_PREFIXES:
            if prefix + word in lemmas:
                yield WordTask(prefix, word, prefix + word)
        for suffix in SUFFIXES:
            if derived := next((form for form in spellings(word, suffix) if form in lemmas), None):
                yield WordTask(suffix, word, derived)


def spellings(word: str, suffix: str) -> Iterator[str]:
    """Yield how a word may be spelt with a suffix: e dropped, y to i, plain, last letter doubled."""
    before_vowel = suffix[0] in "aeiouy"
    if before_vowel and word.endswith("e"):
        yield word[:-1] + suffix
    if word.endswith("y"):
        yield word[:-1] + "i" + suffix
    yield word + suffix
    if before_vowel:
        yield word + word[-1] + suffix


def reversals(count: int, alphabet: str, seed: int) -> list[WordTask]:
    """Return ``count`` strings of 2 to 10 characters to be written backwards, half of them letters only."""
    tasks = []
    for index in range(count):
        chance = generator(seed, REVERSE, str(index))
        characters = pick((string.ascii_lowercase, alphabet), chance)
        text = "".join(pick(characters, chance) for _ in range(pick(range(2, 11), chance)))
        tasks.append(WordTask(REVERSE, text, text[::-1]))
    return tasks


def hold_out_stems(tasks: Iterable[WordTask], share: float) -> tuple[list[WordTask], list[WordTask]]:
    """Split examples into those to train on and those held out, the forms of a word on one side.

    Args:
        tasks: Examples.
        share: Share of the stems to hold out, from 0 to 1.
    """
    kept = list(tasks)
    held = [number(0, "held out of pre-training", task.stem) < share for task in kept]
    return (
        [task for task, out in zip(kept, held, strict=True) if not out],
        [task for task, out in zip(kept, held, strict=True) if out],
    )
