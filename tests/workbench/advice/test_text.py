"""Advice about the text: the data, its sizes and what is done to it."""

import json
import re
import shlex
import stat
import subprocess
from dataclasses import replace
from importlib.metadata import version

import pytest
from following import between, follows, planned, small_study, told

from workbench.config import CellConfig, Quality
from workbench.data.corruptions import CORRUPTIONS, spoil
from workbench.data.records import Dataset, Record
from workbench.data.sources import load_dataset, verbs
from workbench.data.subsets import draw
from workbench.errors import InputError
from workbench.files import not_read
from workbench.models.loaders import load_base
from workbench.training.prepare import prepare

GOOD = [{"prompt": f"p{place}", "response": f"r{place}"} for place in range(10)]


@pytest.fixture
def mine(tmp_path):
    """Write records, or a text, as somebody's own file."""

    def write(content, name="mine.jsonl"):
        text = content if isinstance(content, str) else "\n".join(map(json.dumps, content))
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def count(path, **options):
    dataset = load_dataset(path, **options)
    return len(dataset.train) + len(dataset.heldout)


def made(records, **options):
    common = {"name": "made", "template": "plain", "licence": "", "origin": ""}
    return Dataset(train=tuple(records), heldout=(Record(id="h", prompt="h", response="h"),), **common)


@follows("give the path of a JSON list or JSONL", "can't both be used; give only one of them")
def test_which_file(mine, tmp_path):
    held = mine(GOOD[5:], "held.jsonl")
    path = mine(GOOD[:5])
    message = told(load_dataset, path.with_name("mime.jsonl"))
    assert count(between(message, "did you mean ", "[?]")) == 5
    assert "give the path of a JSON list or JSONL" in told(load_dataset, tmp_path / "no" / "a.jsonl")
    message = told(load_dataset, path, heldout=2, heldout_file=held)
    assert re.findall(r"--[\w-]+", message) == ["--heldout", "--heldout-file"]
    assert count(path, heldout=2) == 5
    assert count(path, heldout_file=held) == 10


@follows("could not read {path}")
def test_a_file_that_may_not_be_read(mine):
    path = mine(GOOD, "my data.jsonl")
    path.chmod(0)
    command = between(str(not_read(path, PermissionError(13, "Permission denied"))), "`", "`")
    subprocess.run(shlex.split(command), check=True)
    assert path.stat().st_mode & stat.S_IRUSR
    assert count(path) == 10
    assert "check the path" in str(not_read(path, FileNotFoundError(2, "No such file")))


@follows(
    "is for your own files, and {name!r} is a built-in source; leave {own} out",
    "--heldout-file {heldout_file}",
)
@follows("--on-empty {on_empty}", "--on-bad {on_bad}", "--on-shared {on_shared}")
@follows("--map {mapping_in_words(mapping or {})}", "--read-as {read_as}")
@pytest.mark.parametrize(
    "option", ["--heldout-file", "--on-empty", "--on-bad", "--on-shared", "--map", "--read-as"]
)
def test_an_option_for_other_data(option, mine):
    path = mine(GOOD)
    value = {"--heldout-file": path, "--map": "prompt=prompt", "--read-as": "prompt-response"}.get(
        option, "drop"
    )
    given = {option.removeprefix("--").replace("-", "_"): value}
    if option == "--map":
        given = {"mapping": {"prompt": "prompt"}}
    assert between(told(load_dataset, "verbs", **given), "leave ", " out") == f"{option} {value}"
    assert count("verbs") > 600
    assert count(path, **({} if value == path else given)) == 10


@follows("give a file of records to judge by as heldout_file (--heldout-file)")
def test_one_record(mine):
    path = mine(GOOD[:1])
    assert "--heldout-file" in told(load_dataset, path)
    assert count(path, heldout_file=mine(GOOD[1:], "held.jsonl")) == 10


@follows("Remove them from one of the files, or leave out what is trained on such questions with")
def test_records_in_both_files(mine):
    path, held = mine(GOOD[:6]), mine(GOOD[5:], "held.jsonl")
    message = told(load_dataset, path, heldout_file=held)
    assert between(message, r"held\.jsonl, line ", r"\)") == "1"
    (name, policy) = between(message, r"\(--", r"\)$").split()
    assert count(path, heldout_file=held, **{name.replace("-", "_"): policy}) == 10
    held = mine(GOOD[6:], "held.jsonl")
    assert count(path, heldout_file=held) == 10


@follows(
    "no text; give a JSON list or JSONL in UTF-8", "is a folder without a .json or .jsonl file; give a file"
)
@follows("save the file as UTF-8")
def test_what_to_give_instead(tmp_path, mine):
    for content in (bytes(100), b"\x81" * 30):
        path = tmp_path / "data"
        path.write_bytes(content)
        assert "UTF-8" in told(load_dataset, path)
    (tmp_path / "folder").mkdir()
    assert "give a file, a JSON list or JSONL" in told(load_dataset, tmp_path / "folder")
    assert count(mine(GOOD)) == count(mine(json.dumps(GOOD), "list.json")) == 10


def test_the_package_with_the_words(monkeypatch):
    monkeypatch.setattr(verbs.importlib.util, "find_spec", lambda name: None)
    command = shlex.split(between(told(verbs.read_word_table), "`", "`"))
    assert command[1:] == ["-m", "pip", "install", f"lemminflect=={version('lemminflect')}"]


@follows("choose sizes of at most {len(dataset.train)}, such as --sizes", "draw at least 1 record")
def test_a_size_that_the_data_does_not_have(mine):
    message = told(planned, "--quality", "clean", "--sizes", "99999")
    most = between(message, "--sizes ")
    assert len(draw(load_dataset("verbs", heldout=20), Quality(), int(most), 0)) == int(most)
    assert f"has {most} records" in message
    least = int(between(told(draw, made([]), Quality(), 0, 0), "at least ", " record"))
    assert len(draw(load_dataset(mine(GOOD)), Quality(), least, 0)) == 1


@follows("ask for at most {most}, such as --quality raters:{most}", "or the data that has raters")
def test_more_raters_than_there_are(mine):
    rated = [
        Record(id=str(n), prompt="p", response="a", choices=("a", "b"), ratings=(1.0, -1.0, 2.0)[: 3 - n % 2])
        for n in range(8)
    ]
    quality = Quality.parse(between(told(draw, made(rated), Quality(raters=3), 8, 0), "--quality "))
    assert quality == Quality(raters=2)
    assert len(draw(made(rated), quality, 8, 0)) == 8
    own = load_dataset(mine(GOOD))
    message = told(draw, own, Quality(raters=1), 5, 0)
    assert len(draw(own, Quality.parse(between(message, "--quality ", ",")), 5, 0)) == 5
    assert between(message, "`workbench run ", "`") == "raters"


LACKING = {"other_record": {"response": "yes"}, "other_form": {}, "flip": {}}
"""What makes each corruption refuse plain records; the others take any."""


def test_what_refuses_a_bare_record_is_known_to():
    bare = Record(id="0", prompt="p", response="r")
    others = [Record(id=str(n), prompt="p", response="r") for n in range(1, 9)]
    refusing = set()
    for corruption in CORRUPTIONS:
        try:
            spoil(bare, corruption, others, 0)
        except InputError:
            refusing.add(corruption)
    assert refusing == set(LACKING)


@follows("choose another one: --corruption")
@pytest.mark.parametrize("corruption", LACKING)
def test_a_corruption_that_the_data_can_not_have(corruption):
    plain = [
        Record(id=str(n), prompt=f"p{n}", **{"response": f"answer {n}", **LACKING[corruption]})
        for n in range(20)
    ]
    quality = Quality(corruption=corruption, share=0.5)
    message = told(draw, made(plain), quality, 20, 0)
    others = re.findall(r"--corruption (\w+)", message)
    assert {"typo", "duplicate"} <= set(others) <= set(CORRUPTIONS) - {corruption}
    for other in others:
        assert len(draw(made(plain), replace(quality, corruption=other), 20, 0)) == 20
    assert message.endswith("or add that to the data")
    more = [
        replace(one, response=f"answer {one.id}", alternatives=("x",), choices=(f"answer {one.id}", "x"))
        for one in plain
    ]
    assert len(draw(made(more), quality, 20, 0)) == 20


@follows(
    "cut such prompts from the left",
    "choose another --corruption, such as",
    "choose a base that reads {len(found.token_ids)} tokens with --base",
)
def test_a_spoiled_record_that_is_too_long():
    base = load_base("classroom")
    context = base.decoder.config.context
    # each fits by itself, and not with the other's answer
    long = Record(id="1", prompt="a" * (context - 10), response="no")
    longer = Record(id="2", prompt="b", response="c" * (context - 10))
    data = made([long, longer])
    cell = CellConfig(
        data="made", base="classroom", size=2, seed=0, quality=Quality(corruption="other_record", share=0.0)
    )

    def prepared(**changes):
        options = {"on_long": changes.pop("on_long", "error")}
        return prepare(base, data, [cell.with_(**changes)], "verbatim", **options)

    message = told(prepared)
    assert between(message, "--on-long ", ",") == "truncate"
    assert any("had their prompts cut" in note for note in prepared(on_long="truncate").notes)
    other = between(message, "another --corruption, such as ", ",")
    assert prepared(quality=Quality(corruption=other, share=0.0)).draws
    needed = int(between(message, "choose a base that reads ", " tokens").replace(",", ""))
    assert needed > context
    decoder = base.decoder
    wider = replace(decoder.config, context=needed)
    decoder.config = wider
    assert prepared().draws


@follows("date is {self.date!r}; write it as 2026-11-28")
def test_a_date():
    day = between(told(small_study, date="28.11.2026"), "write it as ")
    assert small_study(date=day).day.isoformat() == day
