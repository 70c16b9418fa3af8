"""Any finished study gets a report, whatever its cells measured: what can be said, and why not more."""

import json
import re
import warnings
from html import unescape
from math import log
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.cli import main
from workbench.config import CellConfig, Quality
from workbench.errors import InputError
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.studies.grid import Study
from workbench.training.results import CellResult
from workbench.views.answers import answers
from workbench.views.explore import page_data
from workbench.views.manuscript import PaperSource, figures, paper_files
from workbench.views.points import digits
from workbench.views.report import write_report
from workbench.views.widgets import Exchange, GridMap

NO_WORD = re.compile(r"\b(nan|NaN|inf|None|Traceback)\b")
"""What no reader should meet."""
ROOT = Path(__file__).resolve().parents[3]
QUALITIES = {"clean": Quality(), "25% typo": Quality(corruption="typo", share=0.75)}
FAILURE = "the training loss or its gradient was not a number at step 3 of 10"
HELDOUT = 12


def falling(quality, size, seed):
    """Return a loss as healthy as any."""
    return 1 + (3 + 2 * (quality != "clean")) / size + 0.01 * ((7 * seed + size) % 5)


def counted(quality, size, seed):
    """Return a share of right answers that is counted on few records."""
    return min(HELDOUT, 4 + size // 8 + (seed + size // 8) % 2 - (quality != "clean")) / HELDOUT


def write_study(folder, measured, *, qualities=tuple(QUALITIES), sizes=(8, 16, 32), seeds=(0, 1), zero=None):
    """Write a finished study; ``measured`` returns a cell's metrics, or None where it failed."""
    grid = Study(
        name="any",
        data="d",
        base="b",
        template="plain",
        precision="float32",
        qualities=tuple(QUALITIES[quality] for quality in qualities),
        sizes=sizes,
        seeds=seeds,
    )
    manifest = {
        "study": grid.to_dict(),
        "data": {"heldout_records": HELDOUT, "heldout_answers": {"yes": 7, "no": 5}, "sha256": ""},
        "base": {"sha256": ""},
    }
    found = {}
    if zero is not None:
        found[ZERO_SHOT] = CellResult(cell=None, metrics=zero)
    for quality in qualities:
        for size in sizes:
            for seed in seeds:
                cell = CellConfig(data="d", base="b", quality=QUALITIES[quality], size=size, seed=seed)
                values = measured(quality, size, seed)
                curves = {"train_loss": [2.0, 1.0]}
                found[f"{quality} {size} {seed}"] = (
                    CellResult(cell=cell, status="failed", metrics={}, failure=FAILURE, curves=curves)
                    if values is None
                    else CellResult(cell=cell, metrics=values, curves=curves)
                )
    with Store.create(folder, manifest) as store:
        store.commit(found)
    return folder


def metrics(**values):
    """Return a function of a cell to its metrics, from values or functions of the cell."""
    return lambda *cell: {name: value(*cell) if callable(value) else value for name, value in values.items()}


def unless(fails, measured):
    return lambda *cell: None if fails(*cell) else measured(*cell)


def rare(quality, size, seed):
    """Return the loss of a class of one record in twenty, that one seed has learnt and the other not."""
    return 1e-6 * 1000.0**seed * size / 8 if quality == "clean" else 0.5 + seed / 10


def cancelling(quality, size, seed):
    """Return shares whose seeds differ by as much at the second size as at the first, the other way round."""
    return 1.0 if quality == "clean" else (6 + (size // 8 + seed) % 2) / HELDOUT


def learnt_by_heart(quality, size, seed):
    return 0.0 if quality == "clean" else falling(quality, size, seed)


HEALTHY = metrics(loss=falling, exact_match=counted)
ZERO_SHOT_SCORES = {"loss": 6.0, "exact_match": 0.0}
CASES = {
    "free-text": (metrics(loss=falling, exact_match=0.0), {"zero": ZERO_SHOT_SCORES}),
    "majority-class": (metrics(loss=falling, exact_match=7 / 12, choice_accuracy=7 / 12), {}),
    "all-right": (metrics(loss=falling, exact_match=1.0), {}),
    "rare-class": (metrics(loss=rare, exact_match=counted), {}),
    "seeds-that-cancel": (
        metrics(
            loss=log(2), exact_match=lambda q, n, s: 1.0 if q == "clean" else (6 + (n // 8 + s) % 2) / 12
        ),
        {"sizes": (8, 16)},
    ),
    "nothing-differs": (metrics(loss=log(2), exact_match=0.0), {"zero": ZERO_SHOT_SCORES}),
    "zero-loss": (
        metrics(loss=lambda q, n, s: 0.0 if q == "clean" else falling(q, n, s), exact_match=1.0),
        {},
    ),
    "all-losses-zero": (metrics(loss=0.0, exact_match=1.0), {}),
    "huge-loss": (metrics(loss=lambda q, n, s: 1e30 * falling(q, n, s), exact_match=0.0), {}),
    "seeds-agree": (metrics(loss=lambda q, n, s: falling(q, n, 0), exact_match=0.0), {}),
    "one-seed": (HEALTHY, {"seeds": (0,)}),
    "one-size": (HEALTHY, {"sizes": (8,)}),
    "one-quality": (HEALTHY, {"qualities": ("clean",)}),
    "one-cell": (HEALTHY, {"qualities": ("clean",), "sizes": (8,), "seeds": (0,), "zero": ZERO_SHOT_SCORES}),
    "some-cells-failed": (unless(lambda q, n, s: n == 16 and s == 1, HEALTHY), {"zero": ZERO_SHOT_SCORES}),
    "one-replicate-left": (unless(lambda q, n, s: s == 1 and (q, n) != ("clean", 8), HEALTHY), {}),
    "a-quality-failed": (unless(lambda q, n, s: q != "clean", HEALTHY), {"zero": ZERO_SHOT_SCORES}),
    "the-best-failed": (unless(lambda q, n, s: q == "clean", HEALTHY), {}),
    "every-cell-failed": (lambda *cell: None, {"zero": ZERO_SHOT_SCORES}),
    "a-metric-missing-somewhere": (
        metrics(loss=falling, exact_match=lambda q, n, s: None if n == 16 else counted(q, n, s)),
        {"zero": {"loss": 6.0, "exact_match": 0.0, "choice_accuracy": 0.5}},
    ),
}


def texts(page):
    """Return what a page says, without its script and its data."""
    html = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = unescape(re.sub(r"<[^>]*>", " ", html.partition("How to make these numbers again")[0]))
    return " ".join(text.split())


def write_case(name, tmp_path):
    measured, options = CASES[name]
    return write_study(tmp_path / name, measured, **options)


SAID = {
    "free-text": ("Judged by loss", "Exact match is 0 in every cell", "Judge by loss, which does differ"),
    "majority-class": ("Judged by loss", "the share of the most frequent answer, 'yes' (7 of 12"),
    "all-right": ("Judged by loss", "Exact match is 1 in every cell"),
    "zero-loss": ("Judged by loss", "Exact match is 1 in every cell"),
    "seeds-that-cancel": ("Judged by exact match", "Loss is 0.693 in every cell"),
    "rare-class": ("Judged by exact match",),
    "nothing-differs": (
        "there is no answer yet: loss is 0.693 in every cell",
        "Larger sizes, more steps or more held-out records would tell",
        "Exact match is 0 in every cell",
    ),
    "all-losses-zero": ("there is no answer yet: exact match is 1 in every cell", "Loss is 0 in every cell"),
    "seeds-agree": ("all seeds agree to the last digit", "More held-out records would tell"),
    "one-seed": ("one seed per cell: no interval can be given",),
    "one-quality": ("add a second with --quality",),
    "a-quality-failed": ("only 'clean' has a finished cell, and 6 cells failed",),
    "the-best-failed": ("only '25% typo' has a finished cell, and 6 cells failed",),
    "every-cell-failed": (f"all of them failed. The first: 'clean', 8 examples, seed 0, {FAILURE}",),
}
"""What is said of a case, in the terminal and on the page."""


@pytest.mark.parametrize("name", CASES)
def test_a_report_is_written(name, tmp_path, capsys):
    study = write_case(name, tmp_path)
    assert main(["report", str(study)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].strip()
    assert not said.err
    report = study / "report"
    assert {path.name for path in report.iterdir()} == {
        "index.html",
        "table.csv",
        *(f"figure.{kind}" for kind in ("pdf", "svg", "png")),
    }
    page = texts(report / "index.html")
    for words in (said.out, page):
        assert not NO_WORD.search(words), words
        assert not [expected for expected in SAID.get(name, ()) if expected not in words]
    view = GridMap(study)
    assert json.dumps(view.grid, allow_nan=False)
    assert view.picture().get_axes()


@pytest.fixture
def _lean(monkeypatch):
    """Draw one kind of file in one width."""
    monkeypatch.setattr(figures, "FILE_KINDS", ("svg",))
    monkeypatch.setattr(figures, "WIDTHS", {"column": figures.WIDTHS["column"]})


PAPERS = (
    *("free-text", "rare-class", "zero-loss", "nothing-differs", "one-cell", "one-replicate-left"),
    *("every-cell-failed", "a-metric-missing-somewhere"),
)


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.usefixtures("_lean")
def test_a_paper_is_written(name, tmp_path):
    files = paper_files(PaperSource.read(write_case(name, tmp_path)))
    numbers = files["numbers.tex"].decode()
    assert "CellsPlanned" in numbers
    assert not NO_WORD.search(numbers), numbers
    assert "tables/cells.csv" in files


def test_an_axis_of_small_losses_names_no_two_places_alike(tmp_path):
    svg = (write_report(write_case("rare-class", tmp_path)).page.parent / "figure.svg").read_text("utf-8")
    assert "<!-- 0.001 -->" in svg
    assert "<!-- 1e-05 -->" in svg
    assert "<!-- 0.000 -->" not in svg


def test_a_silent_metric_has_no_table_of_rates():
    (table,) = answers(rows_of(*CASES["free-text"]), "study", HELDOUT).tables
    assert table.metric == "held-out loss (nats a token)"
    assert not answers(rows_of(*CASES["nothing-differs"]), "study", HELDOUT).tables


def test_a_metric_whose_seeds_agree_gives_way_to_one_that_tells():
    measured = metrics(loss=falling, exact_match=lambda q, n, s: counted(q, n, 0))
    found = answers(rows_of(measured, {}), "study", None)
    assert "Judged by loss" in found.sentences[0]
    (silence,) = found.silences
    assert silence.startswith("Exact match: All seeds agree to the last digit")
    assert silence.endswith("Judge by loss, which does differ.")


def test_free_text_is_pointed_to_the_texts():
    rows = rows_of(*CASES["free-text"])
    (silence,) = answers(rows, "study", HELDOUT).silences
    assert "as is usual for free text" in silence
    assert "notebook 08" in silence
    assert list(ROOT.glob("notebooks/08_talk_to_them.ipynb")), "the notebook that the advice names"


def test_a_study_without_its_best_quality_says_what_it_compares_with():
    measured = unless(lambda q, n, s: q == "clean", HEALTHY)
    rows = rows_of(measured, {"qualities": (*QUALITIES, "50% typo")})
    found = answers(rows, "study", HELDOUT)
    assert "'25% typo'" in found.sentences[0]
    assert "The others are compared with '25% typo'" in " ".join(found.silences)


def test_a_study_that_is_not_finished_has_no_report_yet(tmp_path):
    folder = write_study(tmp_path / "s", lambda *cell: None, sizes=(8,))
    with Store.open(folder) as store:
        store.update_manifest(study={**store.manifest.to_json()["study"], "sizes": [8, 16]})
    with pytest.raises(InputError, match="no finished cell yet"):
        write_report(folder)


def test_two_trainings_of_one_cell_are_told_apart_by_what_differs(tmp_path):
    folder = write_study(tmp_path / "s", HEALTHY)
    cell = CellConfig(data="d", base="b", size=8, seed=0, learning_rate=0.01)
    with Store.open(folder) as store:
        store.commit({"again": CellResult(cell=cell, metrics={"loss": 1.0, "exact_match": 0.5})})
    with pytest.raises(InputError, match=r"cells of 2 settings.*learning_rate 0\.01.*workbench mend"):
        write_report(folder)
    with Store.open(folder, read_only=True) as store:
        rows = store.table(of_one=False)
    said = answers(rows, str(folder), HELDOUT).sentences[0]
    assert "quality 'clean', size 8 and seed 0 was trained twice, with learning_rate" in said
    assert "workbench mend" in said


def test_the_exchange_widget_shows_the_metrics_that_have_a_rate():
    found = answers(rows_of(*CASES["free-text"]), "study", HELDOUT).studies
    view = Exchange(found.values())
    assert {pair["metric"] for pair in view.pairs} == {"held-out loss (nats a token)"}
    assert list(view.left_out) == ["exact_match"]
    with pytest.raises(InputError, match="Exact match is 0 in every cell"):
        Exchange([found["exact_match"]])


def test_small_and_huge_numbers_are_shown():
    shown = [digits(value) for value in (0.0, 1e-6, 0.000499, 0.0005, 0.25, 123.4567, 1e30)]
    assert shown == ["0.000", "1e-06", "0.000499", "0.001", "0.250", "123.457", "1e+30"]


def rows_of(measured, options):
    """Return the table of a study without writing it."""
    options = {"qualities": tuple(QUALITIES), "sizes": (8, 16, 32), "seeds": (0, 1), **options}
    zero = options.get("zero")
    rows = [{"quality": None, "size": 0, "seed": None, "status": "done", **zero}] if zero else []
    for quality in options["qualities"]:
        for size in options["sizes"]:
            for seed in options["seeds"]:
                values = measured(quality, size, seed)
                status = {"status": "failed", "failure": FAILURE} if values is None else {"status": "done"}
                rows.append({"quality": quality, "size": size, "seed": seed, **(values or {}), **status})
    return rows


COUNTS = st.integers(0, HELDOUT).map(lambda right: right / HELDOUT)
MISSING = st.none() | st.just(float("nan"))
SHARES = st.sampled_from([0.0, 1.0, 7 / 12]).map(st.just) | st.just(COUNTS) | st.just(COUNTS | MISSING)
LOSSES = (
    st.sampled_from([0.0, log(2)]).map(st.just)
    | st.sampled_from([-6, 30]).map(lambda far: st.floats(min(far, 0), max(far, 0)).map(lambda e: 10.0**e))
    | st.just(st.floats(0.1, 4.0))
    | st.just(st.floats(0.1, 4.0) | st.just(0.0) | MISSING)
)


@st.composite
def tables(draw):
    """Return the table of a finished study, healthy or not."""
    options = {
        "qualities": tuple(QUALITIES)[: draw(st.integers(1, 2))],
        "sizes": (8, 16, 32, 64)[: draw(st.integers(1, 4))],
        "seeds": tuple(range(draw(st.integers(1, 3)))),
    }
    kinds = {"loss": draw(LOSSES), "exact_match": draw(SHARES), "choice_accuracy": draw(SHARES)}
    one = {name: draw(kind) for name, kind in kinds.items()}
    if draw(st.booleans()):
        options["zero"] = one
    fails = draw(st.sampled_from([0, 0, 0, 3, 1]))
    lost = draw(st.sampled_from([None, None, *QUALITIES]))

    def measured(quality, size, seed):
        if quality == lost or (fails and draw(st.integers(1, fails)) == 1):
            return None
        return {name: draw(kind) for name, kind in kinds.items()}

    return rows_of(measured, options)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_every_table_has_an_answer_or_a_reason(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = answers(rows, "study", HELDOUT)
        page = page_data(rows, found.studies, found.fits)
    assert json.dumps(page, allow_nan=False)
    assert all(sentence.strip() for sentence in found.sentences)
    said = " ".join([*found.sentences, *found.silences, *found.notes])
    assert not NO_WORD.search(said), said
    judged = re.search("Judged by ([a-z ]+?)(,|;| on )", found.sentences[0])
    if judged and "there is no answer" not in found.sentences[0]:
        metric = judged[1].replace(" ", "_")
        finished = [row for row in rows if row["size"] > 0 and row["status"] == "done"]
        values = {row[metric] for row in finished if row[metric] is not None}
        assert len(values) > 1, "a metric that is the same everywhere answers nothing"
        assert found.studies[metric].silent is None
    elif found.studies and not any(study.silent for study in found.studies.values()):
        assert re.search("one quality|only|was measured at", found.sentences[0])
