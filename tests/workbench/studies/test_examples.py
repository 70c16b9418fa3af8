"""Examples of damage: real ones, from the draws that are trained on."""

from dataclasses import replace

from workbench.config import Quality
from workbench.data.records import Record
from workbench.data.sources import load_dataset
from workbench.data.subsets import draw
from workbench.studies.examples import LONGEST_TEXT, changed_examples
from workbench.studies.grid import Study


def pairs(count=30):
    """Two files that answer the same questions, and some that only the second asks."""
    both = [
        Record(id=f"{file}/{n}", prompt=f"question {n}", response=f"{file} answer {n}", source=file)
        for n in range(count)
        for file in ("clean", "scraped")
    ]
    more = [
        Record(id=f"scraped/{n}", prompt=f"question {n}", response="?", source="scraped") for n in (90, 91)
    ]
    return replace(load_dataset("verbs"), name="mine", train=(*both, *more), heldout=())


def test_each_pool_shows_what_is_in_and_what_is_out_and_why():
    data = pairs()
    files = (Quality(pool="file:clean"), Quality(pool="file:scraped"))
    study = Study(name="x", data="x", base="classroom", qualities=files, sizes=(4, 20), seeds=(7,))
    examples = changed_examples(study, data, each=2)
    for quality in files:
        own = [one for one in examples if one["quality"] == quality.label]
        drawn = draw(data, quality, 20, 7)
        left = "scraped" if quality.label == "clean" else "clean"
        assert [one["reason"] for one in own] == [
            *(f"in: from {quality.label}",) * 2,
            *(f"out: from {left}",) * 2,
        ]
        assert [one["prompt"] for one in own[:2]] == [record.prompt for record in drawn[:2]]
        assert len({one["prompt"] for one in own}) == 4, "a question is shown once"
        for one in own[:2]:
            assert one["other"] == one["response"].replace(quality.label, left)
            assert one["other_reason"] == f"out: from {left}"
    # what nobody else answers has no other answer
    alone = changed_examples(replace(study, qualities=(Quality(pool="file:clean"),)), data, each=90)
    assert [one for one in alone if "other" not in one and one["response"] != "?"] == []
    assert sum("other" not in one for one in alone) == 2


def test_each_damaged_quality_shows_what_it_did():
    dataset = load_dataset("verbs")
    damaged = Quality(corruption="other_form", share=0.5)
    study = Study(
        name="verbs",
        data="verbs",
        base="classroom",
        qualities=(Quality(), damaged),
        sizes=(16, 64),
        seeds=(3,),
    )
    examples = changed_examples(study, dataset, each=2)
    assert [example["quality"] for example in examples] == ["50% other_form"] * 2
    drawn = {(record.prompt, record.response) for record in draw(dataset, damaged, 64, 3)}
    for example in examples:
        assert (example["prompt"], example["response"]) in drawn
        assert example["before"] != example["response"]


def test_what_stands_before_the_prompt_is_shown():
    talk = Record(id="a", prompt="p", response="r", system="Be kind.", history=(("Hi", "Hello"),))
    records = (talk, *(replace(talk, id=f"b{n}", response=f"s{n}", system="Be quick.") for n in range(9)))
    few = replace(load_dataset("verbs"), train=records, heldout=())
    copies = Quality(corruption="duplicate", share=0.0)
    study = Study(name="x", data="x", base="classroom", qualities=(copies,), sizes=(10,), seeds=(0,))
    examples = changed_examples(study, few, each=10)
    assert len(examples) == 9
    assert {one["prompt"] for one in examples} <= {record.asked for record in records}
    # a copy that differs in the system text alone is a change
    same = [talk, replace(talk, id="b", system="Be quick.")]
    twin = changed_examples(replace(study, sizes=(2,)), replace(few, train=tuple(same)), each=10)
    assert len(twin) == 1


def test_a_long_text_is_cut_and_marked():
    dataset = load_dataset("verbs")
    long = Quality(corruption="other_record", share=0.0)
    records = tuple(replace(record, response=record.response * 300) for record in dataset.train[:20])
    few = replace(dataset, train=records, heldout=())
    study = Study(name="x", data="x", base="classroom", qualities=(long,), sizes=(20,), seeds=(0,))
    example = changed_examples(study, few, each=1)[0]
    assert len(example["response"]) == LONGEST_TEXT + 2
    assert example["response"].endswith(" …")
