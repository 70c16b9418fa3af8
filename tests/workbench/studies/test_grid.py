"""Which cells each budget has: pinned, because a committed study is one of them."""

import json

import pytest

from workbench.config import Quality
from workbench.studies.grid import BUDGETS, STUDIES, Study
from workbench.studies.own_data import study_of_file


def labels(study: Study) -> list[str]:
    return [quality.label for quality in study.qualities]


GRIDS = {
    ("verbs", "coffee"): (["clean", "25% other_form", "50% other_form"], (32, 128, 512, 2048), 3),
    ("verbs", "lunch"): (
        ["clean", "10% other_form", "25% other_form", "50% other_form"],
        (32, 64, 128, 256, 512, 1024, 2048),
        4,
    ),
    ("verbs", "night"): (
        [
            "clean",
            *("5% other_form", "10% other_form", "25% other_form", "50% other_form", "75% other_form"),
        ],
        (16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
        5,
    ),
    ("raters", "coffee"): (["1 rater", "3 raters", "clean"], (32, 128, 512), 3),
    ("raters", "lunch"): (
        ["1 rater", "2 raters", "3 raters", "5 raters", "clean", "20% flip"],
        (32, 128, 512, 2048),
        4,
    ),
    ("raters", "night"): (
        [
            *("1 rater", "2 raters", "3 raters", "5 raters", "10 raters", "clean"),
            *("10% flip", "20% flip", "40% flip"),
        ],
        (32, 64, 128, 256, 512, 1024, 2048, 4096),
        5,
    ),
}
RIGHT_AND_WRONG = ("solution=right", "solution=wrong")
GRIDS |= {
    ("gsm8k", "coffee"): ([*RIGHT_AND_WRONG], (16, 64, 256), 3),
    ("gsm8k", "lunch"): (
        ["solution=right", "0.5*solution=right+0.5*solution=wrong", "solution=wrong"],
        (16, 32, 64, 128, 256),
        4,
    ),
    ("gsm8k", "night"): (
        [
            "solution=right",
            *(f"{share}*solution=right+{1 - share}*solution=wrong" for share in (0.75, 0.5, 0.25)),
            "solution=wrong",
        ],
        (8, 16, 32, 64, 128, 256),
        5,
    ),
}
SETTINGS = {
    "verbs": {},
    "raters": {"batch_size": 8, "steps": 60},
    "gsm8k": {"batch_size": 4, "steps": 60},
}


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", STUDIES)
def test_the_studies_that_come_with_the_workbench(name, budget):
    study = STUDIES[name](budget)
    qualities, sizes, seeds = GRIDS[name, budget]
    assert (labels(study), study.sizes, study.seeds) == (qualities, sizes, tuple(range(seeds)))
    assert study.settings == SETTINGS[name]
    assert study.adapted_layers == {"verbs": None, "raters": 6, "gsm8k": 6}[name]
    cells = study.cells()
    assert len(cells) == len({cell.key() for cell in cells}) == len(qualities) * len(sizes) * seeds


@pytest.mark.parametrize(
    ("budget", "records", "sizes"),
    [
        ("coffee", 100, (5, 20, 80)),
        ("lunch", 100, (1, 5, 20, 80)),
        ("night", 100, (1, 2, 5, 10, 20, 40, 80)),
        ("coffee", 1000, (32, 128, 512)),
    ],
)
def test_a_study_of_an_own_file_steps_down_from_all_its_records(tmp_path, budget, records, sizes):
    """A fifth is held out; each size is a fourth, or at night a half, of the next."""
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"p{n}", "response": "r"}) for n in range(records)))
    study = study_of_file(str(path), budget, base="classroom")
    assert study.sizes == sizes
    assert study.qualities[0] == Quality()
    shares = {"coffee": [0.5], "lunch": [0.75, 0.5], "night": [0.9, 0.75, 0.5]}[budget]
    assert [quality.share for quality in study.qualities[1:]] == shares
    assert len(study.seeds) >= 3, "three are the fewest that show their own noise"
