"""Examples of damage: real ones, from the draws that are trained on."""

from dataclasses import replace

from workbench.config import Quality
from workbench.data.sources import load_dataset
from workbench.data.subsets import draw
from workbench.studies.examples import LONGEST, changed_examples
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


def test_a_long_text_is_cut_and_marked():
    dataset = load_dataset("verbs")
    long = Quality(corruption="other_record", share=0.0)
    records = tuple(replace(record, response=record.response * 300) for record in dataset.train[:20])
    few = replace(dataset, train=records, heldout=())
    study = Study(name="x", data="x", base="classroom", qualities=(long,), sizes=(20,), seeds=(0,))
    example = changed_examples(study, few, each=1)[0]
    assert len(example["response"]) == LONGEST + 2
    assert example["response"].endswith(" …")
