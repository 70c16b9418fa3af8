"""Dials: what they show for each setting, how they begin, and what stays of them where nothing moves."""

import pytest
from matplotlib.figure import Figure

from workbench.errors import InputError
from workbench.lessons import Dial, Facts


def told(**chosen):
    return [f"{chosen} <b>", Facts("facts", {"n": chosen["n"]})]


def test_each_setting_is_shown_and_no_text_is_read_as_html():
    dial = Dial(told, n=range(1, 65), kind=["typo", "flip"], start={"n": 8}, names={"n": "directions"})
    assert dial.dials[0] == {"name": "directions", "words": [str(n) for n in range(1, 65)], "choice": False}
    assert dial.dials[1] == {"name": "kind", "words": ["typo", "flip"], "choice": True}
    assert dial.words() == "directions: 8; kind: typo"
    assert "{&#x27;n&#x27;: 8, &#x27;kind&#x27;: &#x27;typo&#x27;} &lt;b&gt;" in dial.shown
    before = dial.answers
    dial.places = [2, 1]
    assert "{&#x27;n&#x27;: 3, &#x27;kind&#x27;: &#x27;flip&#x27;}" in dial.shown
    assert "<table>" in dial.shown, "an object shows itself"
    assert dial.answers == before + 1


def test_values_are_written_as_asked():
    dial = Dial(lambda share: "", share=[0.1, 0.25], form={"share": "{:.0%}".format})
    assert dial.dials[0]["words"] == ["10%", "25%"]


def test_a_figure_is_its_own_still_picture_and_keeps_its_words():
    def draw(n):
        figure = Figure(figsize=(3, 2))
        figure.add_subplot().set(xlabel=f"step {n}", ylabel="loss")
        return figure

    dial = Dial(draw, n=[1, 2])
    assert 'aria-label="Chart: loss against step 1"' in dial.shown
    data, metadata = dial._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "Chart: loss against step 1"
    assert "text/html" not in data


def test_a_text_stays_in_the_notebooks_file():
    data, _ = Dial(told, n=[1, 2])._repr_mimebundle_()
    assert data["text/html"].startswith("<p>n: 1</p><p")
    assert "image/png" not in data


def test_what_goes_wrong_later_is_said_in_the_page():
    dial = Dial(lambda n: f"{1 / n:.1f}", n=[1, 0])
    dial.places = [1]
    assert '<p class="alert">ZeroDivisionError: ' in dial.shown
    dial.places = [0]
    assert "1.0" in dial.shown
    with pytest.raises(ZeroDivisionError):
        Dial(lambda n: 1 / n, n=[0])


@pytest.mark.parametrize("values", [[], [1, 2]])
def test_a_start_that_is_no_value_is_refused(values):
    with pytest.raises(InputError, match="the dial 'n' can't start at "):
        Dial(told, n=values, start={"n": 5})
