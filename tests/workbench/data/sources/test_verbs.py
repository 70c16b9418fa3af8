"""The verbs source: real forms, nothing held out that was trained on, no heavy import."""

import re
import subprocess
import sys

import pytest

from workbench.data.sources import load_dataset
from workbench.data.sources.verbs import MISPRINTS, _root, read_word_table


@pytest.fixture(scope="module")
def verbs():
    return load_dataset("verbs")


@pytest.fixture(scope="module")
def forms(verbs):
    return {record.prompt: record for record in verbs.train + verbs.heldout}


def test_counts(verbs):
    assert len(verbs.heldout) == 600
    assert len(verbs.train) == 5861
    assert verbs.notes == (
        "278 of 6748 verbs left out: not a single word in a to z",
        "2 left out: no past form in a single word (beware, login)",
        "7 left out: wrong in the table (bestride, bide, joyride, quid, torpedo, typeset, wrought)",
    )


@pytest.mark.parametrize(
    ("lemma", "past"),
    [
        pytest.param("walk", "walked", id="regular"),
        pytest.param("go", "went", id="another-stem"),
        pytest.param("dive", "dived", id="first-of-two"),
        pytest.param("rewrite", "rewrote", id="first-is-a-word"),
        pytest.param("overshoot", "overshot", id="first-is-two-words"),
        pytest.param("babysit", "babysat", id="first-has-a-hyphen"),
        pytest.param("jell", "jelled", id="first-has-another-spelling"),
        pytest.param("put", "put", id="unchanged"),
    ],
)
def test_past(forms, lemma, past):
    assert forms[lemma].response == past


def test_alternatives_are_other_forms(forms):
    assert forms["go"].alternatives == ("gone", "going", "goes", "go")
    assert forms["walk"].alternatives == ("walking", "walks", "walk")
    # the lemma and the participle are right answers here, so they are no wrong ones
    assert forms["put"].alternatives == ("putting", "puts")
    assert forms["dive"].alternatives == ("diving", "dives", "dive")


def test_every_record_can_be_asked(forms):
    for record in forms.values():
        assert re.fullmatch("[a-z]+", record.prompt + record.response)
        assert record.alternatives
        assert record.response not in record.alternatives
    assert not forms.keys() & {*MISPRINTS, "torpedo", "beware"}


def test_relatives_are_on_one_side(verbs, forms):
    lemmas = set(forms)
    sides = [{_root(record.prompt, lemmas) for record in part} for part in (verbs.train, verbs.heldout)]
    assert not sides[0] & sides[1]
    for relatives in (("go", "undergo", "forgo"), ("stand", "misunderstand"), ("realise", "realize")):
        assert len({_root(lemma, lemmas) for lemma in relatives}) == 1
    assert _root("bring", lemmas) == "bring"


def test_held_out_by_hash_and_not_by_the_alphabet(verbs):
    initials = {record.prompt[0] for record in verbs.heldout}
    assert len(initials) > 20
    # pinned: a study's numbers are only comparable on the same verbs
    assert [record.prompt for record in verbs.heldout[:3]] == ["abate", "abominate", "abuse"]
    assert verbs.fingerprint.startswith("348a4374")


def test_table_is_read_whole():
    assert len(read_word_table()) == 40450


def test_lemminflect_is_never_imported():
    code = "import sys, workbench.data.sources as s; s.load_dataset('verbs'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "lemminflect" not in loaded.split()
