"""All that is wrong with a file is told at once, and what the message advises works."""

import json
import re

import pytest
from follows import follows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data.sources import load_dataset
from workbench.errors import InputError

GOOD = [json.dumps({"prompt": f"p{place}", "response": f"r{place}"}) for place in range(10)]


def line(**values):
    return json.dumps({"prompt": "asked", "response": "answered", **values})


BAD = {
    "cut-off": line()[:-9],
    "prose": "so it goes",
    "trailing-comma": line() + ",",
    "two-objects": line() + line(),
    "list": '["asked", "answered"]',
    "text": '"asked"',
    "null-record": "null",
    "no-response": '{"prompt": "asked"}',
    "no-prompt": '{"response": "answered"}',
    "another-layout": '{"instruction": "asked", "output": "answered"}',
    "number": line(response=12),
    "truth-value": line(response=True),
    "not-a-number": line().replace('"answered"', "NaN"),
    "texts": line(response=["answered"]),
    "object-as-prompt": line(prompt={"text": "asked"}),
    "half-a-character": line(response="\ud800"),
    "half-a-character-as-id": line(id="\ud800"),
    "truth-value-as-id": line(id=True),
    "half-a-number-as-id": line(id=1.5),
    "choices-without-response": line(choices=["a", "b"]),
    "one-choice": line(choices=["answered"]),
    "choices-as-text": line(choices="answered"),
    "empty-alternative": line(alternatives=[" "]),
    "right-alternative": line(alternatives=["answered"]),
    "system-as-list": line(system=["be kind"]),
    "two-systems": line(system="be kind", system_prompt="be quick"),
    "history-as-text": line(history="Hi"),
    "history-as-pair": line(history=["Hi", "Hello"]),
    "history-of-three": line(history=[["Hi", "Hello", "Bye"]]),
    "history-of-messages": line(history=[{"role": "user", "content": "Hi"}]),
    "history-without-answer": line(history=[["Hi", None]]),
}
EMPTY = {
    "empty-response": line(response=""),
    "empty-prompt": line(prompt=""),
    "white-space": line(response=" \n\t"),
    "null-response": line(response=None),
    "null-prompt": line(prompt=None),
    "both": line(prompt=None, response=""),
}


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def advised(message):
    """Return the options that a message says will leave something out."""
    return {f"on_{option}": "drop" for option in re.findall(r"--on-(bad|empty) drop", message)}


def all_of(dataset):
    return sorted(record.prompt for record in dataset.train + dataset.heldout)


@follows("Mend them, or have them left out with")
@pytest.mark.parametrize("kind", [*BAD, *EMPTY])
def test_what_is_advised_works(tmp_path, kind):
    path = write(tmp_path / "mine.jsonl", [*GOOD[:4], (BAD | EMPTY)[kind], *GOOD[4:]])
    with pytest.raises(InputError, match=r"1 of 11 records can't be used: 1 .*\(line 5") as caught:
        load_dataset(path)
    options = advised(str(caught.value))
    assert set(options) == {"on_bad" if kind in BAD else "on_empty"}
    assert "then 10 records are left" in str(caught.value)
    dataset = load_dataset(path, **options)
    assert all_of(dataset) == [f"p{place}" for place in range(10)]
    assert dataset.notes[0].startswith("mine.jsonl: 1 of 11 records left out: ")
    assert dataset.notes[0].endswith("(line 5)")


def test_a_doubled_id_is_found_and_the_first_kept(tmp_path):
    lines = [line(id=3, prompt="a"), line(id=3, prompt="b"), line(id="3", prompt="c"), line(id=4)]
    path = write(tmp_path / "mine.jsonl", lines)
    told = r"2 with the 'id' of an earlier record \(lines 2 and 3; line 2: '3', as line 1 has\)"
    with pytest.raises(InputError, match=told) as caught:
        load_dataset(path)
    assert all_of(load_dataset(path, **advised(str(caught.value)))) == ["a", "asked"]
    # what is left out for another reason takes no id away
    path = write(tmp_path / "mine.jsonl", [line(id=3, response=""), line(id=3), line(id=4, prompt="b")])
    assert all_of(load_dataset(path, on_empty="drop")) == ["asked", "b"]


def test_everything_is_told_at_once_with_counts_and_places(tmp_path):
    lines = [
        GOOD[0],
        BAD["number"],
        *GOOD[1:3],
        "{",
        BAD["no-response"],
        EMPTY["null-response"],
        "[",
        *GOOD[3:],
    ]
    path = write(tmp_path / "mine.jsonl", [*lines, EMPTY["both"]])
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: 6 of 16 records can't be used: ")
    for part in (
        "2 not JSON (lines 5 and 8; line 5: Expecting property name",
        "2 empty 'prompt' or 'response' (lines 7 and 16)",
        "1 with 'response' that isn't a text (line 2: the number 12)",
        "1 without the key 'response' (line 6: it has 'prompt')",
        "on_bad='drop', on_empty='drop' (--on-bad drop --on-empty drop); then 10 records are left.",
    ):
        assert part in message
    assert len(message) < 600
    # with one of the options, the message tells of the others only
    with pytest.raises(InputError, match=r"2 of 16 records can't be used: 2 empty .* \(--on-empty drop\)"):
        load_dataset(path, on_bad="drop")
    with pytest.raises(InputError, match=r"4 of 16 records .* \(--on-bad drop\)"):
        load_dataset(path, on_empty="drop")


def test_both_files_are_told_of_in_one_message(tmp_path):
    own = write(tmp_path / "own.jsonl", [*GOOD[:5], "{"])
    held = write(tmp_path / "held.jsonl", [*GOOD[5:], EMPTY["null-response"]])
    with pytest.raises(InputError) as caught:
        load_dataset(own, heldout_file=held)
    assert advised(str(caught.value)) == {"on_bad": "drop", "on_empty": "drop"}
    assert "own.jsonl: 1 of 6" in str(caught.value)
    assert "held.jsonl: 1 of 6" in str(caught.value)
    dataset = load_dataset(own, heldout_file=held, on_bad="drop", on_empty="drop")
    assert (len(dataset.train), len(dataset.heldout)) == (5, 5)
    assert [note.split(":")[0] for note in dataset.notes] == ["own.jsonl", "held.jsonl"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_mixed_nothing_usable_is_lost_and_nothing_goes_uncounted(tmp_path, data):
    kinds = st.sampled_from([*BAD, *EMPTY])
    wrong = data.draw(st.lists(kinds, min_size=1, max_size=20, unique=True), label="wrong")
    lines = data.draw(st.permutations([*GOOD, *((BAD | EMPTY)[kind] for kind in wrong)]), label="lines")
    path = write(tmp_path / "mine.jsonl", lines)
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    message = str(caught.value)
    options = advised(message)
    assert len(message) < 1500
    assert set(options) == {"on_bad" if kind in BAD else "on_empty" for kind in wrong}
    dataset = load_dataset(path, **options)
    assert all_of(dataset) == [f"p{place}" for place in range(10)]
    counts = [int(re.search(rf": (\d+) of {len(lines)} records left out", note)[1]) for note in dataset.notes]
    assert sum(counts) == len(wrong)
    # every record knows where it stands
    for record in dataset.train + dataset.heldout:
        name, number = record.place.split(", line ")
        assert name == "mine.jsonl"
        assert json.loads(lines[int(number) - 1])["prompt"] == record.prompt


@pytest.mark.parametrize("first", ['["asked", "answered"]', "[", '[{"prompt": "asked"'])
def test_a_bad_first_line_is_no_list(tmp_path, first):
    path = write(tmp_path / "mine.jsonl", [first, *GOOD])
    with pytest.raises(InputError, match=r"1 of 11 records can't be used: 1 .*\(line 1"):
        load_dataset(path)
    assert len(all_of(load_dataset(path, on_bad="drop"))) == 10


@follows("mend that line, or write one object on each line instead of a list")
@pytest.mark.parametrize("broken", [2, 5, 10])
def test_of_a_broken_list_nothing_is_left_out(tmp_path, broken):
    lines = ["[", *(one + "," for one in GOOD[:-1]), GOOD[-1], "]"]
    mended = list(lines)
    lines[broken] = lines[broken].replace(":", "", 1)
    path = write(tmp_path / "mine.json", lines)
    told = rf"line {broken + 1}: this isn't JSON .* none of its records"
    with pytest.raises(InputError, match=told) as caught:
        load_dataset(path, on_bad="drop", on_empty="drop")
    assert not advised(str(caught.value))
    assert len(all_of(load_dataset(write(path, mended)))) == 10
    assert len(all_of(load_dataset(write(path, GOOD)))) == 10


@pytest.mark.parametrize("policy", ["error", "drop"])
def test_when_nothing_is_left_no_option_is_advised(tmp_path, policy):
    path = write(tmp_path / "mine.jsonl", [*BAD.values(), *EMPTY.values()])
    with pytest.raises(InputError, match="none of its 37 records can be used: ") as caught:
        load_dataset(path, on_bad=policy, on_empty=policy)
    assert not advised(str(caught.value))


@follows("Mend them; without them")
@pytest.mark.parametrize("left", [GOOD[:1], [GOOD[0], line(prompt="p0")]], ids=["one-record", "one-prompt"])
def test_what_can_not_be_split_afterwards_is_not_advised(tmp_path, left):
    path = write(tmp_path / "mine.jsonl", [*left, "{"])
    with pytest.raises(InputError, match="too few to train on some and hold out others") as caught:
        load_dataset(path)
    assert not advised(str(caught.value))
    # with records to judge by it can
    held = write(tmp_path / "held.jsonl", GOOD[5:])
    with pytest.raises(InputError) as caught:
        load_dataset(path, heldout_file=held)
    assert len(load_dataset(path, heldout_file=held, **advised(str(caught.value))).train) == len(left)
    write(path, [*left, GOOD[5]])
    assert len(all_of(load_dataset(path))) == len(left) + 1


def test_most_records_decide_which_keys_are_read(tmp_path):
    alpaca = [json.dumps({"instruction": f"i{place}", "output": "o"}) for place in range(5)]
    path = write(tmp_path / "mixed.jsonl", [*GOOD[:2], *alpaca])
    with pytest.raises(InputError, match=r"2 of 7 .* 2 without the key 'instruction' \(lines 1 and 2;"):
        load_dataset(path)
    dataset = load_dataset(path, on_bad="drop")
    assert dataset.template == "alpaca"
    assert all_of(dataset) == [f"i{place}" for place in range(5)]
