"""The source of right and wrong solutions: pairs, and problems that nobody trains on."""

import json
from pathlib import Path

import pytest

from workbench.config import Quality
from workbench.data.sources.gsm8k import load
from workbench.data.subsets import draw
from workbench.errors import InputError
from workbench.fetch import cached

RIGHT, WRONG = Quality(pool="solution=right"), Quality(pool="solution=wrong")
MODELS = ("small", "small checked", "large", "large checked")


def file(path: Path, marks: list[str]) -> Path:
    """Write a problem for each of ``marks``, in which an "r" is a right solution and a "w" a wrong one."""
    rows = [
        {
            "question": f"What is {place} and 1?",
            "ground_truth": f"{place} + 1\nA: {place + 1}",
            **{
                model: {"is_correct": mark == "r", "solution": f"{model} says {mark}: {place}"}
                for model, mark in zip(MODELS, row, strict=True)
            },
        }
        for place, row in enumerate(marks)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_problem_gives_as_many_right_as_wrong_solutions(tmp_path):
    marks = ["rwww", "rrww", "rrrw", "rrrr", "wwww", "wrwr"]
    data = load(1, path=file(tmp_path / "a.jsonl", marks))
    judged = int(data.heldout[0].prompt.split()[2])
    pairs = {place: min(row.count("r"), row.count("w")) for place, row in enumerate(marks) if place != judged}
    for place, count in pairs.items():
        kinds = [one.extra["solution"] for one in data.train if one.prompt == f"What is {place} and 1?"]
        assert sorted(kinds) == ["right"] * count + ["wrong"] * count
    assert {one.response.split(":")[0][-1] for one in draw(data, RIGHT, sum(pairs.values()), 0)} == {"r"}
    assert {one.response.split(":")[0][-1] for one in draw(data, WRONG, sum(pairs.values()), 0)} == {"w"}
    alike = sum(not count for count in pairs.values())
    assert f"{sum(pairs.values())} pairs" in data.notes[0]
    assert f"{alike} problems left out" in data.notes[0]


@pytest.mark.parametrize("seed", range(3))
def test_draws_are_pairs_at_every_size(tmp_path, seed):
    data = load(2, path=file(tmp_path / "a.jsonl", ["rwww", "rrww", "rrrw", "wrwr", "wwrr", "rwrw"]))
    most = len(data.train) // 2
    for size in range(1, most + 1):
        right, wrong = draw(data, RIGHT, size, seed), draw(data, WRONG, size, seed)
        assert [one.prompt for one in right] == [one.prompt for one in wrong]
        assert {one.id for one in right}.isdisjoint(one.id for one in wrong)


def test_what_judges_is_other_problems_solved_by_their_authors(tmp_path):
    data = load(2, path=file(tmp_path / "a.jsonl", ["rwww"] * 6))
    assert len(data.heldout) == 2
    assert {one.prompt for one in data.heldout}.isdisjoint(one.prompt for one in data.train)
    for one in data.heldout:
        number = int(one.prompt.split()[2])
        assert one.response == f"{number} + 1\nA: {number + 1}"


def test_the_real_file():
    try:
        cached("gsm8k")
    except InputError:
        real = Path(__file__).parents[5] / "shared" / "real" / "gsm8k_example_model_solutions.jsonl"
        if not real.is_file():
            pytest.skip("gsm8k was never fetched, and shared/real isn't beside the checkout")
        data = load(path=real)
    else:
        data = load()
    assert len(data.heldout) == 100
    assert len(data.train) == 2 * 891
    assert (
        "891 pairs of a right and a wrong solution, of 672 problems; 547 problems left out" in data.notes[0]
    )
