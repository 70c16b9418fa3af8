"""English past tense: ``walk`` to ``walked``, and ``go`` to ``went``.

The word table is the one inside the package ``lemminflect`` (MIT), made from the SPECIALIST Lexicon of the
US National Library of Medicine. It is read as a file: importing the package would load its models.

A row of the table is ``lemma, "verb", past, participle, ing form, third person``; a form that has variants
lists them with slashes, and the participle is empty where it equals the past.
"""

import csv
import gzip
import importlib.util
import io
import re
import shlex
import sys
from pathlib import Path

from workbench.data.heldout import hold_out
from workbench.data.records import Dataset, Record
from workbench.errors import InputError

MISPRINTS = {"bestride": "betrode", "bide": "boded/bided"}
"""Past forms that no rule can tell from right ones and that are wrong all the same."""

INSTALL = shlex.join([sys.executable, "-m", "pip", "install", "lemminflect==0.2.3"])

VERB_PREFIXES = (
    *("be", "co", "counter", "cross", "de", "dis", "em", "en", "for", "fore", "in", "inter", "mis", "non"),
    *("out", "over", "post", "pre", "re", "sub", "super", "trans", "un", "under", "up", "with"),
)
"""A verb with one of these in front of another verb mostly shares its forms: understand, stand."""


def load(heldout: int | None = None) -> Dataset:
    """Return one record for each verb: the lemma as the prompt, its past form as the response.

    Where the table lists several past forms, the response is the first that is a single word in a to z
    (and has the lemma's first letter, if any has: ``jell`` gives ``jelled``, not ``gelled``). The
    alternatives are the verb's other forms, unless they are one of its past forms too.

    Args:
        heldout: Verbs to hold out; None for 600. Verbs that differ by a prefix or in -ise and -ize stay on
            one side, so that ``undergo`` isn't asked of an adapter that was shown ``go``.

    Raises:
        InputError: If ``lemminflect`` isn't installed or the number can't be held out.
    """
    rows = [row for row in read_word_table() if row[1] == "verb"]
    single = [row for row in rows if re.fullmatch("[a-z]+", row[0])]
    broken = [row[0] for row in single if not _is_sound(row)]
    sound = [row for row in single if _is_sound(row)]
    records = [_record(row) for row in sound if _past(row)]
    lemmas = {record.prompt for record in records}
    train, held = hold_out(records, heldout, "verbs", family=lambda record: _root(record.prompt, lemmas))
    without = [row[0] for row in sound if not _past(row)]
    return Dataset(
        name="verbs",
        train=train,
        heldout=held,
        template="verbs",
        licence="MIT (lemminflect); SPECIALIST Lexicon, US National Library of Medicine",
        origin="English past tense, from the word table of the package lemminflect",
        notes=(
            f"{len(rows) - len(single)} of {len(rows)} verbs left out: not a single word in a to z",
            f"{len(without)} left out: no past form in a single word ({', '.join(without)})",
            f"{len(broken)} left out: wrong in the table ({', '.join(broken)})",
        ),
    )


def read_word_table() -> list[list[str]]:
    """Return the rows of the word table, each a lemma, its part of speech and its forms.

    Raises:
        InputError: If the package isn't installed or lacks the table.
    """
    package = importlib.util.find_spec("lemminflect")
    if package is None or package.origin is None:
        raise InputError(f"the word table is in lemminflect, which isn't installed; type `{INSTALL}`")
    path = Path(package.origin).parent / "resources" / "infl_lu.csv.gz"
    if not path.is_file():
        raise InputError(f"{path} doesn't exist; type `{INSTALL} --force-reinstall --no-deps`")
    with gzip.open(path) as file:
        return list(csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline="")))


def _is_sound(row: list[str]) -> bool:
    """Tell whether a row's columns are where they belong; some rows have theirs shifted or missing.

    A verb without any form passes: it isn't wrong, it has no past.
    """
    lemma, _, past, _, ing, third = row
    if lemma in MISPRINTS:
        return past != MISPRINTS[lemma]
    endings = any(form.endswith("ing") for form in ing.split("/")) and any(
        form.endswith("s") for form in third.split("/")
    )
    return endings or not any((past, ing, third)) or not _past(row)


def _words(forms: str) -> list[str]:
    """Return the variants that are single words: ``off set/off-set/offset`` has one."""
    return [form for form in forms.split("/") if re.fullmatch("[a-z]+", form)]


def _past(row: list[str]) -> str | None:
    """Return the past form that the record asks for."""
    words = _words(row[2])
    return next((word for word in words if word[0] == row[0][0]), words[0] if words else None)


def _record(row: list[str]) -> Record:
    lemma, _, pasts, participle, ing, third = row
    past = _past(row)
    assert past is not None
    forms = [*_words(participle)[:1], *_words(ing)[:1], *_words(third)[:1], lemma]
    wrong = dict.fromkeys(form for form in forms if form not in pasts.split("/"))
    return Record(id=lemma, prompt=lemma, response=past, alternatives=tuple(wrong))


def _root(lemma: str, lemmas: set[str]) -> str:
    """Return the verb from which ``lemma`` takes its forms: ``misunderstand`` from ``stand``."""
    for prefix in VERB_PREFIXES:
        rest = lemma.removeprefix(prefix)
        if rest != lemma and rest in lemmas:
            return _root(rest, lemmas)
    return lemma.removesuffix("ise") + "ize" if lemma.endswith("ise") else lemma
