"""Examples of damage: real ones, from the draws that are trained on."""

from dataclasses import replace

from workbench.config import Quality
from workbench.data.records import Record
from workbench.data.sources import load_dataset
from workbench.data.subsets import draw
from workbench.studies.examples import LONGEST_TEXT, changed_examples
from workbench.studies.grid import Study


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
