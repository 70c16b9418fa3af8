"""The page for people without the workbench: what it says, that nothing is loaded, that no data can run."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from planned_studies import planned, write_planned

from workbench.cli import main
from workbench.config import Quality
from workbench.errors import InputError
from workbench.lessons import widgets as of_lessons
from workbench.lessons.budget import Game
from workbench.lessons.shipped import VERBS
from workbench.lessons.site import write_site
from workbench.lessons.site.parts import SITE_PARTS
from workbench.lessons.site.scripts import SHARED_SCRIPTS, WIDGET_OF, site_script
from workbench.studies.disk.store import Store
from workbench.views import widgets as of_views
from workbench.views.answers import answers_of
from workbench.views.explore import PAGE_FOLDER

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!--<script>"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_planned(tmp_path_factory.mktemp("studies") / "small", planned())


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Return a study whose name and records try to run."""
    texts = {"prompt": HOSTILE, "before": HOSTILE, "response": HOSTILE, "quality": "50% other_form"}
    folder = tmp_path_factory.mktemp("studies") / "hostile"
    data = {"sha256": "d", "train_records": 3000, "origin": HOSTILE}
    write_planned(folder, planned(name=HOSTILE), data=data, examples=[texts])
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_site(VERBS, tmp_path_factory.mktemp("site")).page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile_page(hostile):
    return write_site(hostile).page.read_text(encoding="utf-8")


def inside(page):
    """Return the study's JSON in a page."""
    return json.loads(page.partition('id="study">')[2].partition("</script>")[0])


def unescaped(text):
    return text.replace("&#39;", "'").replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">")


def words_of(page):
    """Return what a page says, without its marks."""
    return " ".join(re.sub(r"<[^>]*>", " ", unescaped(page)).split())


def test_it_says_what_report_and_terminal_say_to_the_letter(small, capsys):
    assert main(["site", str(small)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert main(["report", str(small)]) == 0
    told = capsys.readouterr().out.splitlines()[0]
    assert printed[0] == told
    page = (small / "site" / "index.html").read_text(encoding="utf-8")
    report = (small / "report" / "index.html").read_text(encoding="utf-8")
    for text in (page, report):
        headline = re.search(r'<p class="answer">(.*?)</p>\n<p>', unescaped(text))[1]
        assert told.startswith(f"{headline} ")
        assert told in words_of(text), "the details follow it"


def test_every_sentence_of_the_answer_is_there(page):
    with Store.open(VERBS, read_only=True) as store:
        sentences = answers_of(store, store.table()).sentences
    assert len(sentences) == 3
    assert all(sentence in words_of(page) for sentence in sentences)


def test_the_shipped_study_has_every_part_but_a_law_that_misses_it(page):
    assert set(inside(page)) == set(SITE_PARTS) - {"law"}
    (why,) = re.findall(r"Not on this page\. ([^<]+)", page)
    assert "One law for all qualities" in why
    assert "would contradict the answer above" in why
    assert len(page.encode()) < 500_000


def test_a_law_that_fits_is_explored(small):
    told = inside(write_site(small).page.read_text(encoding="utf-8"))["law"]
    assert told["fit"]["words"].startswith("quality_exponent: E + B n^-beta share^-gamma. It agrees")
    assert {len(values) for values in told["fit"]["resamples"].values()} == {101}
    assert told["fit"]["shares"] == [0.5, 1.0]


def test_nothing_is_loaded_and_only_its_own_script_runs(page):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    assert not re.search(r"""(?:src|href|action)=["']?(?!#)|url\(|@import|<link|<iframe|<form""", page)
    addresses = set(re.findall(r"https?://[^\"'\s<]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of a kind of element, never loaded"


def test_no_text_of_a_study_can_run_or_end_the_page(hostile_page):
    assert hostile_page.count("<script") == hostile_page.count("</script>") == 2
    assert "<img" not in hostile_page
    assert "<!--" not in hostile_page
    assert unescaped(hostile_page).count(HOSTILE) > 3, "it is shown as it is written"


def test_the_scripts_are_the_widgets_own(page):
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    for name in SHARED_SCRIPTS:
        assert (PAGE_FOLDER / f"{name}.js").read_text(encoding="utf-8") in script
    rooms = {room.__name__: set(room.WIDGETS.values()) for room in (of_views, of_lessons)}
    for name, path in WIDGET_OF.items():
        assert path.stem in set.union(*rooms.values())
        if name not in inside(page):  # a part that the study can't have
            continue
        own = path.read_text(encoding="utf-8")
        assert own.replace("export default ", f"WIDGETS.{name} = ") in script, path
    assert "export" not in re.sub(r"//.*", "", script)
    assert not re.search(r"\bimport\b[ (]", re.sub(r"//.*", "", script))


def test_the_game_has_the_outcome_of_every_decision(page):
    told = inside(page)["game"]
    with Store.open(VERBS, read_only=True) as store:
        study = answers_of(store, store.table()).studies["exact_match"]
    game = Game(study, worse="50% other_form")
    assert told["rules"] == game.rules(saves=False)
    (step,) = re.findall(r'class: "share", min: 0, max: 100, step: (\d+)', WIDGET_OF["game"].read_text())
    assert all(len(own) == 100 // int(step) + 1 for own in told["plays"])
    for number, place in ((0, 0), (2, 7), (4, 20)):
        outcome = game.play(game.rounds[number], place * int(step) / 100).to_json()
        shown = {**told["plays"][number][place], "curve": told["curves"][number]}
        assert {name: pytest.approx(value) for name, value in outcome.items()} == shown


def test_the_map_has_every_cell_and_its_runs(page):
    told = inside(page)["map"]
    assert told["metric"] == "exact_match"
    with Store.open(VERBS, read_only=True) as store:
        rows = [row for row in store.rows() if (row["quality"], row["size"]) == ("10% other_form", 128)]
    grid, detail = told["grids"]["exact_match"], told["details"][1][2]
    cell = grid["cells"][1 * len(grid["sizes"]) + 2]
    assert (cell["quality"], cell["size"], cell["done"], cell["planned"]) == ("10% other form", 128, 4, 4)
    assert cell["mean"] == pytest.approx(np.mean([row["exact_match"] for row in rows]))
    assert cell["spread"] == pytest.approx(np.std([row["exact_match"] for row in rows], ddof=1))
    assert [line[2] for line in detail["rows"]] == [f"{row['exact_match']:.3f}" for row in rows]
    assert len(detail["curves"]) == 4
    assert told["grids"]["loss"]["better"] == "low"


def test_the_examples_are_those_of_the_record(page):
    first = inside(page)["examples"][0]
    assert (first["prompt"], first["before"], first["response"]) == ("mix", "mixed", "mixing")
    assert first["quality"] == "10% other form"


def test_what_a_study_cannot_have_is_left_out_and_said_so(tmp_path, capsys):
    one = write_planned(tmp_path / "study", planned(qualities=(Quality(),)))
    assert main(["site", str(one)]) == 0
    left_out = capsys.readouterr().out
    page = (one / "site" / "index.html").read_text(encoding="utf-8")
    assert set(inside(page)) == {"explore", "map"}
    for why in (
        "The guess: there is one quality, so nothing to guess: add a second to the study.",
        "The exchange rate to slide along: no rate can be given; the answer above says why.",
        "The budget game: there is one quality, so nothing to choose between.",
        "One law for all qualities: there is one quality, so nothing to vary.",
        "Examples of the data: the study has recorded none.",
    ):
        assert f"not on the page: {why}" in left_out
        assert f"Not on this page. {why}" in page


def test_only_widgets_of_parts_that_are_shown_travel():
    assert "WIDGETS.exchange =" in site_script(["exchange"])
    assert "WIDGETS.exchange =" not in site_script(["explore"])


def test_an_earlier_page_is_written_again_and_another_is_not(small, tmp_path):
    site = write_site(small, tmp_path / "site")
    (tmp_path / "site" / ".nojekyll").touch()
    before = site.page.read_bytes()
    assert site.size == len(before)
    assert write_site(small, tmp_path / "site").page.read_bytes() == before, "the same record, the same bytes"
    site.page.write_text("<p>mine</p>")
    with pytest.raises(InputError, match=r"holds other files, such as index\.html"):
        write_site(small, tmp_path / "site")
    assert site.page.read_text() == "<p>mine</p>"


def test_what_cannot_have_a_page_is_refused_in_a_sentence(small, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["site", str(small), "--output", str(tmp_path)]) == 2
    assert "holds other files, such as notes.txt; name a new folder" in capsys.readouterr().err
    assert main(["site", str(small), "--output", str(tmp_path / "notes.txt")]) == 2
    assert "notes.txt is a file; name a folder for the page" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]
    assert main(["site", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_a_study_without_a_result_has_no_page(tmp_path):
    with Store.create(tmp_path / "study", {"study": {"name": "new"}}):
        pass
    with pytest.raises(InputError, match="has no finished cell yet"):
        write_site(tmp_path / "study")
    assert not (tmp_path / "study" / "site").exists()
