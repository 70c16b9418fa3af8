"""What the audit says of files that other people published: what is known to be wrong, and no more."""

from pathlib import Path

import pytest

from workbench.data.audit import CHECKS, Subject, audit
from workbench.data.audit.reading import inspect
from workbench.data.sources.files import How, read_file

REAL = Path(__file__).resolve().parents[5] / "shared" / "real"
SLOW = "languages"
"""Has a model to load; the others are enough here."""

FOUND = {
    "alpaca_random_9k.json": {
        "empty": 4,
        "near_duplicates": 1,
        "own_split": 1,
        "end_marks": 2,  # //EOM//
        "control_characters": 1,  # a vertical tab
    },
    "dolly_3k.json": {
        "exact_duplicates": 2,
        "near_duplicates": 2,
        "disagreeing_prompts": 22,
        "own_split": 5,
        "cut_off": 125,
    },
    "alpacaeval805_text_davinci_003.json": {"empty": 2, "cut_off": 3},
}
"""Records with each fault; up to twenty of each kind were looked at."""


@pytest.mark.parametrize("name", FOUND)
def test_what_is_known_to_be_wrong_is_found(name):
    if not (REAL / name).is_file():
        pytest.skip(f"{name} isn't beside the checkout, in shared/real; it may not be copied into it")
    read = inspect(read_file(REAL / name, How(), prompts_needed=1))
    subject = Subject(records=read.records, unusable=read.unusable, template=read.template)
    counts: dict[str, int] = {}
    for one in audit(subject, [check for check in CHECKS if check != SLOW]).faults:
        counts[one.check] = counts.get(one.check, 0) + one.count
    if name.startswith("alpaca_"):
        assert 20 <= counts.pop("cut_off") <= 30, "a few end without a mark, mostly on purpose"
    assert counts == FOUND[name]


def test_an_evaluation_set_inside_another_is_contamination():
    """Self-Instruct's 252 instructions are among AlpacaEval's 805."""
    names = ("alpacaeval805_text_davinci_003.json", "alpacaeval805_text_davinci_001.json")
    if not all((REAL / name).is_file() for name in names):
        pytest.skip("AlpacaEval's outputs aren't beside the checkout, in shared/real")
    own, judge = (inspect(read_file(REAL / name, How(), prompts_needed=1)) for name in names)
    faults = audit(Subject(records=own.records, against=judge.records), ["contamination"]).faults
    asked = {record.prompt for record in own.records}
    assert sum(one.count for one in faults) >= sum(record.prompt in asked for record in judge.records) > 790
