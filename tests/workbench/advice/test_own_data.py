"""Own data as qualities: what messages advise about files, columns and pools is done here, to the end."""

import json
import re
from pathlib import Path

import pytest
from following import between, told
from follows import follows

import workbench as wb
from workbench.config import Quality
from workbench.data.pools import ordered
from workbench.data.qualities import parse_quality
from workbench.data.sources import load_dataset
from workbench.data.subsets import draw
from workbench.studies.plan import plan


@pytest.fixture
def files(tmp_path):
    """Two files of the same questions, with columns of which some rows lack one."""
    found = []
    for label, answer in (("clean", "right"), ("scraped", "so")):
        rows = [
            {"prompt": f"q{n}", "response": f"{answer} {n}", "score": n / 50, "kind": "ab"[n % 2]}
            | ({"topic": n // 2} if n else {})
            for n in range(50)
        ]
        found.append(tmp_path / f"{label}.jsonl")
        found[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [str(path) for path in found]


@follows("can't be asked for beside it; write {self.pool} alone")
def test_damage_of_a_pool(files):
    message = told(Quality, pool="kind=a", corruption="typo", share=0.5)
    wb.study(files[0], qualities=["clean", between(message, "write ", " alone")], base="classroom")


@follows("which says what they answer; give each one, or another --pair-key")
def test_a_pair_key_that_a_record_lacks(files):
    told(wb.study, files[0], pair_key="topic", base="classroom")
    wb.study(files[0], pair_key="kind", base="classroom")


@follows(
    "give more than 0 and at most 100",
    "ask for a larger share",
    "they have to come to 1, such as",
)
def test_shares(files):
    data = load_dataset(files[0])
    told(ordered, data, "top:0%@score", 0)
    told(ordered, data, "top:101%@score", 0)
    told(ordered, data, "top:1%@score", 0)
    for percent in ("5", "100"):
        ordered(data, f"top:{percent}%@score", 0)
    message = told(ordered, data, "0.9*kind=a+0.9*kind=b", 0)
    ordered(data, between(message, "such as "), 0)


@follows("so they are neither in nor out; give each one, or leave those records out of the file")
def test_scores_that_a_record_lacks(files, tmp_path):
    message = told(ordered, load_dataset(files[0]), "topic>3", 0)
    lines = Path(files[0]).read_text().splitlines()
    lacking = int(between(message, "line ", r"\)"))
    kept = tmp_path / "kept.jsonl"
    kept.write_text("\n".join(lines[: lacking - 1] + lines[lacking:]) + "\n")
    ordered(load_dataset(kept), "topic>3", 0)


@follows("too few; choose sizes of at most")
def test_a_size_beyond_a_pool(files):
    data = load_dataset(files[0])
    message = told(draw, data, parse_quality("kind=a"), 40, 0)
    for size in re.findall(r"at most (\d+), such as --sizes (\d+)", message)[0]:
        draw(data, parse_quality("kind=a"), int(size), 0)


@follows(
    "isn't one of the files, and damage of several files can't be asked for; give one file, or choose pools"
)
def test_damage_of_several_files(files):
    given = {"others": files[1:], "base": "classroom"}
    message = told(wb.study, files[0], qualities=["clean", "typo:0.5"], **given)
    wb.study(files[0], qualities=["clean", "typo:0.5"], base="classroom")
    wb.study(files[0], qualities=between(message, "choose pools: ").split(", "), **given)


@follows(
    "other files or a pair key are for your own data; leave",
    "for your own files, and {name!r} is a built-in source",
)
def test_files_beside_a_built_in_study(files):
    message = told(wb.study, "verbs", others=files, pair_key="kind")
    assert between(message, "leave ", " out") == f"{files[0]} and {files[1]} and --pair-key kind"
    wb.study("verbs")
    message = told(load_dataset, "verbs", others=files)
    assert between(message, "leave ", " out") == files[0]
    load_dataset("verbs")


@follows("is given twice; each file is one quality, so give it once")
def test_a_file_twice(files):
    told(load_dataset, files[0], others=[files[1], files[0]])
    load_dataset(files[0], others=files[1:])


@follows(
    "give a file to judge by that asks other things",
    "a file of neither kind judges both",
)
def test_a_file_whose_questions_are_all_held_out(files, tmp_path):
    held = load_dataset(files[0], others=files[1:]).heldout
    few, judge = tmp_path / "few.jsonl", tmp_path / "judge.jsonl"
    few.write_text("".join(json.dumps({"prompt": one.prompt, "response": "x"}) + "\n" for one in held))
    judge.write_text(json.dumps({"prompt": "new", "response": "y"}) + "\n")
    told(load_dataset, files[0], others=[few])
    assert load_dataset(files[0], others=[few], heldout_file=judge).notes


@follows("all are asked in one: choose it with --template")
def test_files_of_several_layouts(files, tmp_path):
    alpaca = tmp_path / "alpaca.jsonl"
    alpaca.write_text(
        "".join(json.dumps({"instruction": f"q{n}", "output": f"o{n}"}) + "\n" for n in range(60))
    )
    data = load_dataset(files[0], others=[alpaca])
    assert any("plain, alpaca" in note for note in data.notes)
    asked = wb.study(files[0], others=[alpaca], base="classroom", template="verbatim", sizes=[8], seeds=[0])
    assert asked.template == "verbatim"


@follows("two qualities are both called {doubled!r}; rename a file, or leave one out")
def test_two_qualities_of_one_name(files):
    pools = [Quality(pool="file:clean"), Quality()]
    told(wb.study, files[0], others=files[1:], qualities=pools, base="classroom")
    wb.study(files[0], others=files[1:], qualities=pools[:1], base="classroom")


@follows("give a smaller one as well: --sizes {least}")
def test_no_size_that_the_smaller_file_has(files, tmp_path):
    large = tmp_path / "large.jsonl"
    large.write_text("".join(json.dumps({"prompt": f"p{n}", "response": "x"}) + "\n" for n in range(300)))
    given = {"others": [str(large)], "base": "classroom", "seeds": [0]}
    message = told(wb.study, files[0], sizes=[128, 256], **given)
    sizes = [int(size) for size in between(message, "--sizes ").split()]
    study = wb.study(files[0], sizes=sizes, **given)
    assert (study.sizes, {place.size for batch in study.grown for place in batch}) == ((40,), {128, 256})
    assert len(plan(study).cells) == 4
