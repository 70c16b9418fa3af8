"""Every file that other people published and that lies in shared/real: read as what it is, or refused."""

import gzip
import json
from pathlib import Path

import pytest

from workbench.config import Quality
from workbench.data.sources import load_dataset
from workbench.data.subsets import draw
from workbench.errors import InputError

REAL = Path(__file__).resolve().parents[5] / "shared" / "real"
ANSWERS = "read as outputs of a model, as AlpacaEval has them: 803 records"
READ = {
    "alpaca_random_9k.json": (9225, 4, "alpaca", "read as Alpaca: 9,225 records"),
    "dolly_3k.json": (2996, 0, "alpaca", "read as Alpaca: 2,996 records"),
    "self_instruct_seed_tasks.jsonl": (175, 0, "alpaca", "read as Self-Instruct tasks: 175 tasks, 175 rec"),
    "self_instruct_user_oriented_252.jsonl": (252, 0, "alpaca", "Self-Instruct tasks: 252 tasks, 252 rec"),
    "fastchat_dummy_conversation.json": (
        500,
        0,
        "chat",
        "read as ShareGPT: 500 conversations, 1,000 assistant turns",
    ),
    "oasst_en_100_tree.jsonl": (100, 0, "chat", "100 trees, 100 conversations, 145 assistant turns"),
    "gsm8k_train.jsonl": (7473, 0, "plain", "read as questions and answers: 7,473 records"),
    "gsm8k_test.jsonl": (1319, 0, "plain", "read as questions and answers: 1,319 records"),
    "gsm8k_example_model_solutions.jsonl": (5276, 0, "plain", "1,319 problems, 5,276 records"),
    "alpacaeval805_text_davinci_001.json": (803, 0, "alpaca", ANSWERS),
    "alpacaeval805_text_davinci_003.json": (803, 2, "alpaca", ANSWERS),
    "hh_harmless_base_test.jsonl.gz": (2308, 4, "verbatim", "2,312 pairs, 2,308 records"),
    "e2e_valid.txt": (4672, 0, "plain", "read as slots and references, as E2E has them: 4,672 records"),
}
"""Records, those with an empty answer, the template, and what is said."""
REFUSED = {
    "koala_test_set.jsonl": "holds questions without answers, and answers are what is learnt",
    "vicuna_bench_questions.jsonl": "holds questions without answers, and answers are what is learnt",
    "image_lora/lora_disney.safetensors": "is weights in safetensors",
    "image_lora": "is a folder without",
    **dict.fromkeys(
        (
            f"jfleg_{part}.{side}"
            for part in ("dev", "test")
            for side in ("src", "ref0", "ref1", "ref2", "ref3")
        ),
        "holds no record; line 1 is not JSON: .* or a table",
    ),
    "README.md": "holds no record; line 1 is not JSON",
}
"""What can't be trained on, with the reason that is given."""


def real(name):
    if not (REAL / name).exists():
        pytest.skip(f"{name} isn't beside the checkout, in shared/real; it may not be copied into it")
    return REAL / name


def everything(dataset):
    return [*dataset.train, *dataset.heldout]


@pytest.mark.parametrize("name", READ)
def test_each_is_read_as_what_it_is(name):
    records, empty, template, told = READ[name]
    path = real(name)
    if empty:
        with pytest.raises(InputError, match=rf"{empty} of {records + empty} records .*\(--on-empty drop\)"):
            load_dataset(path)
    dataset = load_dataset(path, on_empty="drop")
    assert len(everything(dataset)) == records
    assert dataset.template == template
    assert any(told in note for note in dataset.notes)
    assert all(record.response.strip() for record in everything(dataset))


@pytest.mark.parametrize("name", REFUSED)
def test_each_other_is_refused_in_a_sentence(name):
    with pytest.raises(InputError, match=REFUSED[name]) as caught:
        load_dataset(real(name))
    assert "\n" not in str(caught.value)
    assert Path(name).name in str(caught.value)


def test_every_file_is_known():
    if not REAL.is_dir():
        pytest.skip("shared/real isn't beside the checkout")
    assert {path.name for path in REAL.iterdir()} <= READ.keys() | {name.split("/")[0] for name in REFUSED}


def test_alpaca():
    dataset = load_dataset(real("alpaca_random_9k.json"), on_empty="drop")
    assert dataset.notes[0] == (
        "alpaca_random_9k.json: 4 of 9229 records left out: empty 'instruction' or 'output' "
        "(items 1462, 3588, 6235 and 8991)"
    )
    # recorded in studies: what was read before reads the same
    assert dataset.fingerprint.startswith("b0f4fbff")
    assert (len(dataset.train), len(dataset.heldout)) == (8625, 600)
    assert sum(bool(record.context) for record in everything(dataset)) == 3665
    drawn = draw(dataset, Quality(corruption="other_record", share=0.5), 500, 0)
    responses = {record.prompt: record.response for record in dataset.train}
    assert all((record.response == responses[record.prompt]) == (record.spoiled is None) for record in drawn)


def test_dolly():
    dataset = load_dataset(real("dolly_3k.json"))
    assert dataset.notes[1:] == ("dolly_3k.json: kept as column 'category' (2996 records)",)
    assert dataset.fingerprint.startswith("ef6af864")
    assert {record.extra["category"] for record in everything(dataset)} >= {"open_qa", "closed_qa"}


def test_no_turn_of_the_conversations_is_lost():
    path = real("fastchat_dummy_conversation.json")
    found = {record.id: record for record in everything(load_dataset(path))}
    for one in json.loads(path.read_text(encoding="utf-8")):
        record = found[one["id"]]
        turns = [*(text for turn in record.history for text in turn), record.prompt, record.response]
        assert turns == [turn["value"] for turn in one["conversations"]]


def test_pairs_are_whole():
    path = real("hh_harmless_base_test.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    dataset = load_dataset(path, on_empty="drop")
    found = {record.place.rpartition(" ")[2]: record for record in everything(dataset)}
    longer = 0
    for number, pair in enumerate(pairs, 1):
        longer += len(pair["chosen"]) > len(pair["rejected"])
        if (record := found.get(str(number))) is None:
            assert not pair["chosen"].rpartition("Assistant:")[2].strip()
            continue
        assert record.prompt + record.response == pair["chosen"]
        assert [record.prompt + other for other in record.alternatives] == [pair["rejected"]]
        assert record.prompt.endswith("\n\nAssistant:")
    assert longer == 1025
    last = [record for record in found.values() if "\n\nAssistant:" not in record.response]
    assert len(last) >= 2303, "all but a few end at the last answer"


def test_solutions_say_whose_they_are_and_whether_they_are_right():
    dataset = load_dataset(real("gsm8k_example_model_solutions.jsonl"))
    right: dict[str, list[bool]] = {}
    problems: dict[str, int] = {}
    for record in everything(dataset):
        right.setdefault(record.extra["model"], []).append(record.extra["is_correct"])
        problems[record.prompt] = problems.get(record.prompt, 0) + 1
    assert set(problems.values()) == {4}
    assert len(problems) == 1319
    shares = {model: round(100 * sum(found) / len(found)) for model, found in right.items()}
    assert shares == {
        "6b_finetuning": 22,
        "6b_verification": 39,
        "175b_finetuning": 35,
        "175b_verification": 56,
    }


def test_trees_by_the_best_path_or_by_every_path():
    path = real("oasst_en_100_tree.jsonl")
    trees = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    nodes, waiting = {}, [tree["prompt"] for tree in trees]
    while waiting:
        node = waiting.pop()
        nodes[node["message_id"]] = node
        waiting += node["replies"]
    assert len(nodes) == 1167
    for read_as in (None, "oasst-trees-all"):
        records = everything(load_dataset(path, read_as=read_as))
        for record in records:
            turns = [*(text for turn in record.history for text in turn), record.prompt, record.response]
            chain, node = [], nodes[record.id]
            while node:
                chain.append(node["text"])
                node = nodes.get(node.get("parent_id"))
            assert turns == chain[::-1], "from the answer up to the first question"
        if read_as is None:
            assert len({record.id for record in records}) == 100
            ranks = [nodes[record.id].get("rank") for record in records]
            assert (ranks.count(0), ranks.count(None)) == (93, 7), "the best, or the only one"
    # an answer after which nothing was answered ends a path, and each such answer ends one
    answered = {
        node["message_id"] for node in nodes.values() if any(one["replies"] for one in node["replies"])
    }
    ends = {name for name, node in nodes.items() if node["role"] == "assistant"} - answered
    assert {record.id for record in records} == ends
