"""A ladder of a few steps on a few words: rungs as narrow as they come."""

import pytest
from tiny_ladder import PLAN, SHORT

from workbench.classroom import pretrain
from workbench.data.sources.verbs import read_word_table
from workbench.ladder import climb as climbing
from workbench.ladder import training
from workbench.ladder.climb import Climber, climb
from workbench.ladder.folder import LadderFolder
from workbench.ladder.forecast import predict_before
from workbench.ladder.training import LADDER_SETTINGS, lessons_of


@pytest.fixture(scope="session")
def few_lessons():
    rows = [row for row in read_word_table() if row[0].startswith("wa")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "REVERSALS", 100)
        return lessons_of(pretrain.pretrain_data(rows, LADDER_SETTINGS))


@pytest.fixture(scope="session")
def short_ladder(tmp_path_factory, few_lessons):
    """A finished ladder, and the widths that were predicted on the way; nobody may change it."""
    folder, asked = LadderFolder(tmp_path_factory.mktemp("ladder") / "short"), []

    def before_rung(width):
        asked.append(width)
        predict_before(folder, PLAN, width)

    assert climb(folder, PLAN, Climber(before_rung=before_rung), settings=SHORT, known=few_lessons)
    return folder, asked


@pytest.fixture
def few(monkeypatch, few_lessons):
    """The command on few words and small steps."""
    monkeypatch.setattr(training, "LADDER_SETTINGS", SHORT)
    monkeypatch.setattr(climbing, "lessons", lambda: few_lessons)
    monkeypatch.setattr(training, "lessons", lambda: few_lessons)
