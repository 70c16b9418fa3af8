"""Several files of one user's: each a quality, drawn in pairs, judged by what none of them trains on."""

import json
from collections import Counter

import pytest

import workbench as wb
from workbench.config import Quality
from workbench.data.pools import ordered
from workbench.data.questions import question_of
from workbench.data.sources import load_dataset
from workbench.data.sources.several import labels_of
from workbench.errors import InputError
from workbench.studies.grid import Place, Study
from workbench.studies.own_data import fit_to_pools


def write(path, rows):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path):
    """A small curated file, and a large collected one that answers its questions too, in other words."""
    curated = write(
        tmp_path / "clean.jsonl", [{"prompt": f"q{n}", "response": f"right {n}"} for n in range(50)]
    )
    collected = write(
        tmp_path / "scraped.jsonl", [{"prompt": f"q{n}", "response": f"so {n}"} for n in range(400)]
    )
    return [curated, collected]


def test_each_file_is_a_quality_and_the_first_judges(files):
    data = load_dataset(files[0], others=files[1:])
    assert data.name == "clean and scraped"
    assert Counter(record.source for record in data.train) == {"clean": 40, "scraped": 390}
    assert len(data.heldout) == 10
    assert {record.response.split()[0] for record in data.heldout} == {"right"}
    asked = {record.prompt for record in data.heldout}
    assert not asked & {record.prompt for record in data.train}
    told = "; ".join(data.notes)
    assert "10 records of 'clean' are held out, and judge every file" in told
    assert "10 of 400 records of 'scraped' left out: their prompts are held out" in told
    assert "40 of the 40 questions of 'clean' are answered in 'scraped' too" in told
    assert data.fingerprint != load_dataset(files[1], others=files[:1]).fingerprint


def test_a_file_to_judge_by_judges_both(files, tmp_path):
    judge = write(tmp_path / "judge.jsonl", [{"prompt": "new", "response": "answer"}])
    data = load_dataset(files[0], others=files[1:], heldout_file=judge)
    assert Counter(record.source for record in data.train) == {"clean": 50, "scraped": 400}
    assert [record.prompt for record in data.heldout] == ["new"]
    write(judge, [{"prompt": "q3", "response": "another"}, {"prompt": "new", "response": "answer"}])
    data = load_dataset(files[0], others=files[1:], heldout_file=judge)
    assert Counter(record.source for record in data.train) == {"clean": 49, "scraped": 399}
    assert "1 of 50 records of 'clean' left out: their prompts are held out" in "; ".join(data.notes)
    write(judge, [{"prompt": "q3", "response": "so 3"}])
    with pytest.raises(InputError, match=r"1 of 1 records of .*judge.jsonl are in .*scraped.jsonl too"):
        load_dataset(files[0], others=files[1:], heldout_file=judge)
    data = load_dataset(files[0], others=files[1:], heldout_file=judge, on_shared="drop")
    assert Counter(record.source for record in data.train) == {"clean": 49, "scraped": 399}
    alone = load_dataset(files[1], heldout_file=judge, on_shared="drop")
    assert len(alone.train) == 399
    assert "1 of 400 records of 'scraped' left out: their prompts are held out" in "; ".join(alone.notes)


def test_what_is_wrong_with_any_file_is_told_at_once(files, tmp_path):
    write(tmp_path / "scraped.jsonl", [{"prompt": "q", "response": ""}, {"prompt": "r", "response": "s"}])
    with files[0].open("a") as file:
        file.write("no json\n")
    with pytest.raises(InputError) as refusal:
        load_dataset(files[0], others=files[1:])
    for told in ("clean.jsonl: 1 of 51 records can't be used", "scraped.jsonl: 1 of 2 records can't be used"):
        assert told in str(refusal.value)
    data = load_dataset(files[0], others=files[1:], on_bad="drop", on_empty="drop")
    assert sum(record.source == "scraped" for record in data.train) == 1


def test_a_file_of_held_out_questions_alone_has_nothing_to_train_on(files, tmp_path):
    held = load_dataset(files[0], others=files[1:]).heldout
    few = write(tmp_path / "few.jsonl", [{"prompt": one.prompt, "response": "x"} for one in held])
    with pytest.raises(InputError, match="every record of 'few' has a prompt that is held out"):
        load_dataset(files[0], others=[few])


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["a.jsonl", "b.json"], ("a", "b")),
        (["x/a.jsonl", "y/a.jsonl.gz", "b.csv"], ("x/a", "y/a", "b")),
        (["x/a.jsonl", "x/a.json"], ("x/a-1", "x/a-2")),
        ([".hidden", "b"], (".hidden", "b")),
    ],
)
def test_labels_are_short_and_differ(paths, labels, tmp_path):
    assert labels_of([tmp_path / path for path in paths]) == labels


def test_a_file_is_given_once(files):
    with pytest.raises(InputError, match=r"clean.jsonl is given twice"):
        load_dataset(files[0], others=[files[1], files[0]])
    with pytest.raises(InputError, match=r"no file 'scrapped.jsonl' .* did you mean .*scraped.jsonl"):
        load_dataset(files[0], others=[files[1].with_name("scrapped.jsonl")])


def test_sizes_beyond_the_smaller_file_are_trained_with_the_larger_alone(files):
    study = wb.study(files[0], others=files[1:], base="classroom")
    clean, scraped = (Quality(pool=f"file:{label}") for label in ("clean", "scraped"))
    assert study.qualities == (clean, scraped)
    assert study.sizes == (2, 10, 40)
    assert study.grown == (tuple(Place(quality=scraped, size=160, seed=seed) for seed in (0, 1, 2)),)
    assert Study.from_dict(study.to_dict()) == study
    asked = wb.study(files[0], others=files[1:], base="classroom", sizes=[8, 32, 300], seeds=[0])
    assert (asked.sizes, asked.grown) == ((8, 32), ((Place(quality=scraped, size=300, seed=0),),))
    with pytest.raises(InputError, match=r"for 'clean', which has 40 records; .* --sizes 40 128 256"):
        wb.study(files[0], others=files[1:], base="classroom", sizes=[128, 256])
    wb.study(files[0], others=files[1:], base="classroom", sizes=[40, 128, 256])
    # what no file has is refused where it is drawn
    assert fit_to_pools(study, {clean: 40, scraped: 40}) == study


def test_pairs_are_drawn_together(files):
    data = load_dataset(files[0], others=files[1:])
    clean, scraped = (ordered(data, f"file:{label}", 3) for label in ("clean", "scraped"))
    questions = [question_of(record) for record in clean]
    assert questions == [q for record in scraped if (q := question_of(record)) in set(questions)]
