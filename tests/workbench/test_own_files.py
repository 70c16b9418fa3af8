"""Own files from the front door: the commands' work, as tables that pandas takes and a notebook shows."""

import json
import re

import pandas as pd
import pytest

import workbench as wb
from workbench.cli import main

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A file of twelve records, of which two are alike and one says nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    rows = [{"prompt": f"question {n} {HOSTILE}", "response": "a" * (n + 1)} for n in range(10)]
    rows += [rows[3], {"prompt": "empty", "response": ""}]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return tmp_path / "mine.jsonl"


def commas(record):
    return float(len(record.response)) if len(record.response) > 5 else None


def test_scores_are_a_table_of_the_records(mine, capsys):
    found = wb.score_file(str(mine), ["length", "copies", commas], on_empty="drop", out="by_python.jsonl")
    table = pd.DataFrame(found)
    assert list(table) == ["place", "prompt", "response", "length", "copies", "commas"]
    assert table["length"].tolist() == [*map(float, range(1, 11)), 4.0]
    assert table["copies"].tolist() == [2.0 if n == 4 else 1.0 for n in [*range(1, 11), 4]]
    assert found["commas"] == [None] * 5 + [6.0, 7.0, 8.0, 9.0, 10.0, None]
    assert any("left out" in note for note in found.notes)
    page = found._repr_html_()
    assert "length" in page
    assert "<script>" not in page
    summary = found.summary()
    assert summary["scorer"] == ["length", "copies", "commas"]
    assert (summary["records"], summary["of"]) == ([11, 11, 5], [11, 11, 11])
    assert summary["median"] == [5.0, 1.0, 8.0]
    assert summary["good end"] == ["neither", "lower", None]
    # the command writes and says the same
    command = ["score", str(mine), "--scorer", "length", "copies", "--on-empty", "drop", "--out", "b.jsonl"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert re.search(r"^length +11 of 11 +1.5 +5 +9.5 .*\(kept\)", said, re.MULTILINE)
    theirs, ours = (
        [json.loads(line) for line in mine.with_name(name).read_text().splitlines()]
        for name in ("b.jsonl", "by_python.jsonl")
    )
    assert [{k: v for k, v in row.items() if k != "commas"} for row in ours] == theirs


def test_records_in_python_are_scored(mine):
    rows = pd.DataFrame({"prompt": ["p", "q"], "response": ["abc", "d"]})
    assert wb.score_file(rows, ["length"])["length"] == [3.0, 1.0]
    assert wb.audit_file(rows, only=["exact_duplicates"]).audit.faults == ()


def test_nothing_is_written_unless_it_is_asked_for(mine):
    before = {path.name for path in mine.parent.iterdir()}
    wb.score_file(mine, ["length"], on_empty="drop")
    wb.audit_file(mine)
    assert {path.name for path in mine.parent.iterdir()} - before == {"cache"}


def test_an_audit_is_a_table_of_the_faults(mine, capsys):
    found = wb.audit_file(mine, only=["empty", "exact_duplicates", "refusals"])
    table = pd.DataFrame(found)
    assert list(table) == ["check", "found", "records", "share", "what to do", "for example"]
    assert table["check"].tolist() == ["empty", "exact_duplicates"]
    assert table["records"].tolist() == [1, 1]
    assert (found.records, found.file) == (12, mine)
    page = found._repr_html_()
    assert page.startswith("<p>2 kinds of faults in 2 records; 3 checks looked.</p>")
    assert "<script>" not in page
    assert repr(found).startswith("2 kinds of faults in 2 records; 3 checks looked.\n2 rows of 6 columns")
    written = found.page(mine.parent / "deep" / "page.html").read_text()
    main(["audit", str(mine), "--only", "empty", "exact_duplicates", "refusals", "--out", "theirs.html"])
    assert (mine.parent / "theirs.html").read_text() == written
    assert "2 kinds of faults in 2 records; 3 checks looked." in capsys.readouterr().out


def test_an_audit_without_a_fault_says_so(mine):
    found = wb.audit_file(mine, only=["refusals"])
    assert found._repr_html_() == "<p>Nothing was found: 1 checks looked.</p>"
    assert repr(found) == "Nothing was found: 1 checks looked."


def test_what_judges_is_read_beside_it(mine):
    judge = mine.with_name("judge.jsonl")
    judge.write_text("".join(mine.read_text().splitlines(keepends=True)[2:4]) + '{"prompt": "no answer"}\n')
    found = wb.audit_file(mine, against=judge, only=["contamination"])
    assert found["check"] == ["contamination"]
    assert found["records"] == [2], "records of the file that judges are counted"
    assert any("judge.jsonl: 1 records can't be read" in note for note in found.notes)


def test_the_template_decides_how_long_a_record_is(tmp_path):
    """It was not used: an option that changes nothing is a fault."""
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": "walk", "response": "w" * n}) for n in range(100, 260)))
    counts = {
        template: sum(wb.audit_file(path, base="classroom", template=template, only=["too_long"])["records"])
        for template in ("verbatim", "plain")
    }
    assert counts["verbatim"] < counts["plain"]
    with pytest.raises(wb.InputError, match=r"unknown template 'plane'. Did you mean 'plain'"):
        wb.audit_file(path, template="plane")
    with pytest.raises(wb.InputError, match=r"unknown template 'plane'. Did you mean 'plain'"):
        wb.score_file(path, ["length"], template="plane")
