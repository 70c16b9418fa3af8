"""A study from a name or a file and what is chosen for it: Python and the command line make the same one."""

import inspect
import json

import numpy as np
import pytest
from follows import follows

import workbench as wb
from workbench.studies.choices import CellSettings
from workbench.studies.variants import CELL_SETTINGS


def test_a_study_is_what_the_command_line_makes(tmp_path):
    from workbench.cli import build_parser
    from workbench.cli.run import chosen_study

    def typed(*words):
        return chosen_study(build_parser("run").parse_args(["run", *words]))

    assert wb.study("verbs", "lunch") == typed("verbs", "--budget", "lunch")
    assert wb.study("verbs", qualities=["clean", "typo:0.8"], sizes=[8, 16], seeds=(0,), heldout=20) == typed(
        *["verbs", "--quality", "clean", "typo:0.8", "--sizes", "8", "16", "--seeds", "0", "--heldout", "20"]
    )
    assert wb.study("verbs", schedule="trunk", targets=["q_proj"], precision="int8") == typed(
        *["verbs", "--schedule", "trunk", "--targets", "q_proj", "--precision", "int8"]
    )
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps({"prompt": f"p{i}", "response": f"r{i}"}) + "\n" for i in range(40)))
    assert wb.study(own, base="classroom", corruption="typo", epochs=2, on_long="drop") == typed(
        *(str(own), "--base", "classroom", "--corruption", "typo", "--epochs", "2", "--on-long", "drop")
    )
    turns = wb.study(own, base="classroom", loss_on="all", on_long="split")
    assert turns == typed(str(own), "--base", "classroom", "--loss-on", "all", "--on-long", "split")
    assert {cell.loss_on for cell in turns.cells()} == {"all"}


def test_a_whole_number_names_no_other_cell():
    one, two = wb.study("verbs", epochs=2, alpha=8), wb.study("verbs", epochs=2.0, alpha=8.0)
    assert [cell.key() for cell in one.cells()] == [cell.key() for cell in two.cells()]


def test_every_setting_of_a_cell_can_be_chosen():
    assert set(CellSettings.__annotations__) == set(CELL_SETTINGS)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"size": (8,)}, "unknown choice 'size'. Did you mean 'sizes'"),
        ({"sizes": 8}, r"sizes is 8; give a list of them, such as sizes=\[8\]"),
        ({"sizes": [8.5]}, "sizes has 8.5 among its values"),
        ({"qualities": "clean"}, r"such as qualities=\['clean'\]"),
        ({"targets": "q_proj"}, r"such as targets=\['q_proj'\]"),
        ({"qualities": ["clean"], "corruption": "typo"}, "typo is in none of the qualities given"),
        ({"schedule": "trunk", "steps": 5}, "trunk sees each example once"),
        ({"steps": 5, "epochs": 2}, "give exactly one of them"),
        ({"rank": 0}, "rank is 0"),
        ({"loss_on": "al"}, "unknown loss_on 'al'. Did you mean 'all'"),
        ({"alpha": "large"}, "alpha is 'large'; expected a number"),
        ({"rank": 2.5}, "rank is 2.5; expected a whole number"),
        ({"budget": "dinner"}, "unknown budget 'dinner'"),
    ],
)
def test_a_choice_that_cant_be_used_is_refused(choices, said):
    with pytest.raises(wb.InputError, match=said):
        # as a stranger calls it: in these tests what has the wrong type would not get so far
        inspect.unwrap(wb.study)("verbs", **choices)


@follows("give a list of them, such as")
@pytest.mark.parametrize("one", [{"sizes": 8}, {"seeds": 0}, {"qualities": "clean"}, {"targets": "q_proj"}])
def test_one_value_where_several_are_asked_for(one):
    with pytest.raises(wb.InputError) as refused:
        inspect.unwrap(wb.study)("verbs", **one)
    advised = str(refused.value).rpartition("such as ")[2]
    study = wb.study("verbs", **eval(f"dict({advised})"))
    assert "give a list" not in repr(study)


def test_sizes_may_come_from_an_array():
    study = wb.study("verbs", sizes=np.array([8, 16]), seeds=range(2), rank=np.array([4])[0])
    assert wb.Study.from_dict(json.loads(json.dumps(study.to_dict()))) == study
