"""The tasks of the classroom base: right forms, and nothing of the past tense."""

import pytest

from workbench.classroom.word_tasks import (
    WordTask,
    hold_out_stems,
    past_forms,
    reversals,
    spellings,
    word_tasks,
)
from workbench.data.sources import load_dataset
from workbench.data.sources.verbs import read_word_table

ROWS = [
    ["bake", "verb", "baked", "", "baking", "bakes"],
    ["baker", "noun", "bakers"],
    ["put", "verb", "put", "", "putting", "puts"],
    ["think", "verb", "thought", "", "thinking", "thinks"],
    ["thought", "noun", "thoughts"],
    ["happy", "adj", "happier/happyer", "happiest"],
    ["happiness", "noun", ""],
    ["unhappy", "adj", "", ""],
    ["bed", "noun", "beds"],
    ["sheep", "noun", "sheep"],
    ["x-ray", "noun", "x-rays"],
]


@pytest.fixture(scope="module")
def real_tasks():
    """The tasks of every word that begins with one of three letters."""
    return word_tasks(row for row in read_word_table() if row[0][0] in "gtw")


def test_tasks_of_a_small_table():
    assert {(task.prompt, task.answer) for task in word_tasks(ROWS)} == {
        ("ing bake=", "baking"),
        ("base baking=", "bake"),
        ("third bake=", "bakes"),
        ("base bakes=", "bake"),
        ("er bake=", "baker"),
        ("plural baker=", "bakers"),
        ("singular bakers=", "baker"),
        ("ing put=", "putting"),
        ("base putting=", "put"),
        ("third put=", "puts"),
        ("base puts=", "put"),
        ("ing think=", "thinking"),
        ("base thinking=", "think"),
        ("third think=", "thinks"),
        ("base thinks=", "think"),
        ("more happy=", "happier"),
        ("plain happier=", "happy"),
        ("most happy=", "happiest"),
        ("plain happiest=", "happy"),
        ("ness happy=", "happiness"),
        ("un happy=", "unhappy"),
    }


def test_no_past_tense_in_the_real_tasks(real_tasks):
    assert 5_000 < len(real_tasks) == len(set(real_tasks))
    data = load_dataset("verbs")
    answers = {record.response for record in data.train + data.heldout if record.response != record.prompt}
    words = {word for task in real_tasks for word in (task.word, task.answer)}
    assert {"went", "thought", "walked"} <= answers
    assert {"going", "thinks", "walk"} <= words
    assert not words & answers
    assert not [word for word in words if word.endswith("ed")]
    assert "past" not in {task.task for task in real_tasks}


def test_a_past_tense_that_equals_its_verb_is_kept():
    assert past_forms(ROWS) == {"baked", "thought", ""}


@pytest.mark.parametrize(
    ("word", "suffix", "expected"),
    [
        pytest.param("bake", "er", "baker", id="e-dropped"),
        pytest.param("happy", "ness", "happiness", id="y-to-i"),
        pytest.param("run", "er", "runner", id="doubled"),
        pytest.param("joy", "less", "joyless", id="plain"),
    ],
)
def test_spellings_include_the_right_one(word, suffix, expected):
    assert expected in list(spellings(word, suffix))


def test_nothing_is_doubled_before_a_consonant():
    assert list(spellings("run", "less")) == ["runless"]


def test_forms_of_a_word_are_held_out_together(real_tasks):
    kept, held = hold_out_stems(real_tasks, 0.2)
    assert sorted(kept + held) == real_tasks
    assert not {task.stem for task in kept} & {task.stem for task in held}
    assert 0.16 < len(held) / len(real_tasks) < 0.24
    assert hold_out_stems(real_tasks, 0.0) == (real_tasks, [])


def test_reversals_are_a_function_of_the_seed():
    first = reversals(500, "abc~\n", seed=0)
    assert first == reversals(500, "abc~\n", seed=0)
    assert first != reversals(500, "abc~\n", seed=1)
    assert first[:100] == reversals(100, "abc~\n", seed=0)
    assert all(task.answer == "".join(reversed(task.word)) and 2 <= len(task.word) <= 10 for task in first)
    assert set("abc~\n") < set("".join(task.word for task in first))


def test_a_prompt_reads_like_the_past_tense_one():
    assert WordTask("plural", "box", "boxes").prompt == "plural box="
