"""`workbench audit`: the table, the page, JSON, and the exit status."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from workbench.cli import main

sys.path.append(str(Path(__file__).parents[1] / "data" / "audit"))

from planting import PLANS, clean, plant

EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> As an AI language model, I \x1b[31mstop\x1b[0m "
    "\u202e."
)


def written(path, records):
    rows = ({"prompt": record.prompt, "response": record.response} for record in records)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class Tags(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def clean_file(tmp_path):
    return written(tmp_path / "mine.jsonl", clean())


@pytest.fixture
def evil_file(tmp_path):
    records = plant(lambda own, other: {"response": EVIL, "prompt": f"<b>{own.prompt}</b>"})
    return written(tmp_path / "<i>evil<b>.jsonl", records)


def test_a_clean_file(clean_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["audit", str(clean_file), "--strict"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Nothing was found: ")
    assert "no evaluation file; give one with --against" in said
    assert "page: runs/mine-audit.html" in said
    assert "Nothing was found" in Path("runs/mine-audit.html").read_text()


def test_the_status_is_one_only_where_it_is_asked_for(tmp_path, capsys):
    path = written(tmp_path / "mine.jsonl", plant(PLANS["refusals"]))
    page = str(tmp_path / "page.html")
    assert main(["audit", str(path), "--out", page]) == 0
    assert main(["audit", str(path), "--out", page, "--strict"]) == 1
    assert main(["audit", str(path), "--out", page, "--strict", "--only", "mojibake"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"answers that refuse, or speak of themselves as a model +7 +8\.8%", said)


def test_json_names_every_place(tmp_path, capsys):
    path = written(tmp_path / "mine.jsonl", plant(PLANS["padding"]))
    assert main(["audit", str(path), "--json", "--out", str(tmp_path / "p.html")]) == 0
    found = json.loads(capsys.readouterr().out)
    (fault,) = found["faults"]
    assert fault["places"] == [f"mine.jsonl, line {at + 1}" for at in (3, 11, 17, 29, 41, 55, 70)]
    assert (fault["check"], fault["count"], fault["total"]) == ("padding", 7, 80)
    assert (found["records"], found["page"]) == (80, str(tmp_path / "p.html"))
    assert set(found["looked"]).isdisjoint(found["skipped"])


def test_what_the_reader_refuses_is_shown(tmp_path, capsys):
    path = written(tmp_path / "mine.jsonl", clean())
    with path.open("a") as file:
        file.write('{"prompt": "p", "response": ""}\nno json\n{"prompt": "q"}\n')
    assert main(["audit", str(path), "--json", "--strict", "--out", str(tmp_path / "p.html")]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {one["what"]: one["places"] for one in found["faults"]} == {
        "can't be read: not JSON": ["mine.jsonl, line 82"],
        "can't be read: without the key 'response'": ["mine.jsonl, line 83"],
        "empty prompts or responses": ["mine.jsonl, line 81"],
    }
    assert found["records"] == 83


def test_nothing_of_the_data_becomes_html(evil_file, tmp_path, capsys):
    assert main(["audit", str(evil_file), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    tags = Tags(page)
    assert {tag for tag, _ in tags.tags}.isdisjoint({"script", "img", "b", "i"})
    assert not any(name.startswith("on") for _, attributes in tags.tags for name in attributes)
    assert "<script>alert(1)</script>" in "".join(tags.text), "it is shown as it is written"
    assert "default-src 'none'" in page
    assert not set(page) & {"\x1b", "\u202e"}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_nothing_of_the_data_steers_the_terminal(evil_file, tmp_path, capsys, options):
    main(["audit", str(evil_file), "--out", str(tmp_path / "page.html"), *options])
    said = capsys.readouterr().out
    assert not set(said) & {"\x1b", "\u202e"}
    assert "stop" in said


def test_against_an_evaluation_file(tmp_path, capsys):
    own = clean()
    path = written(tmp_path / "mine.jsonl", own)
    judge = written(tmp_path / "eval.jsonl", [*clean(1, 30), *own[:3]])
    arguments = ["audit", str(path), "--against", str(judge), "--out", str(tmp_path / "p.html"), "--json"]
    assert main(arguments) == 0
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault["count"] == 3
    assert fault["total"] == 33
    assert fault["places"][0] == "eval.jsonl, line 31 and mine.jsonl, line 1"


def test_against_a_base(clean_file, tmp_path, capsys):
    arguments = ["audit", str(clean_file), "--base", "classroom", "--out", str(tmp_path / "p.html"), "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert "too_long" in found["looked"]
    (fault,) = found["faults"]
    assert fault["what"].startswith("longer than the 128 tokens that the base can read (the longest: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jsonl"], "could not read nowhere.jsonl"),
        (["mine.jsonl", "--against", "nowhere.jsonl"], "could not read nowhere.jsonl"),
        (["mine.jsonl", "--only", "paddings"], "unknown check 'paddings'"),
        (["mine.jsonl", "--base", "nothing"], "nothing"),
        (["empty.jsonl"], "empty.jsonl is empty"),
    ],
)
def test_bad_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "mine.jsonl", clean())
    (tmp_path / "empty.jsonl").write_text("")
    assert main(["audit", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists(), "nothing is half written"
