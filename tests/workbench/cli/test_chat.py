"""``workbench chat``, with lines that are piped in."""

import io

import pytest
from follows import follows
from random_adapters import random_adapter

from workbench.adapters.formats import save_adapter
from workbench.cli import main
from workbench.models.loaders import load_base


@pytest.fixture
def adapter(tmp_path):
    base = load_base("classroom")
    save_adapter(random_adapter(base.decoder.config, size=0.4), tmp_path / "mine", base=base)
    return tmp_path / "mine"


def talk(monkeypatch, lines: str, *options: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    return main(["chat", "classroom", "--template", "verbatim", *options])


@follows("give an adapter by its number in /stack and a weight")
def test_answers_go_out_and_what_is_told_beside_them(monkeypatch, capsys, adapter):
    lines = "past walk=\n/weigh 1 0\n/new\npast walk=\n/stack\n/quit\npast go=\n"
    assert talk(monkeypatch, lines, "--adapter", f"{adapter}:0.5", "--limit", "6") == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2, "nothing behind /quit is answered"
    assert len(set(out.splitlines())) == 2, "the adapter counted once, and then no more"
    assert "the workbench's own decoder writes" in err
    assert f"1  0  {adapter}" in err
    assert "tokens, " in err
    assert " a second" in err


def test_a_line_that_cannot_be_done_is_told_and_the_conversation_goes_on(monkeypatch, capsys):
    lines = "/foo\n/weigh x\n/weigh 1 0.5\n/temperature warm\n/temperature -1\n/seed -2\n\n/help\npast walk="
    assert talk(monkeypatch, lines, "--limit", "3") == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    for told in (
        "there is no /foo; /help has what there is",
        "/weigh x: give an adapter by its number",
        "there is no adapter 1; the stack has 0",
        "the temperature is 'warm'; expected a number",
        "temperature is -1.0; it is a number from 0",
        "the seed is a whole number",
        "Ctrl-C stops an answer",
    ):
        assert told in err


def test_a_stopped_answer_is_kept_and_the_next_line_answered(monkeypatch, capsys):
    from workbench.chatting.in_torch import TorchWriter

    write = TorchWriter.write

    def interrupted(self, *given):
        yield from list(write(self, *given))[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(TorchWriter, "write", interrupted)
    assert talk(monkeypatch, "past walk=\npast go=\n") == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert (err.count("[2 tokens"), err.count(", stopped]")) == (2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--adapter", "nowhere"), "nowhere"),
        (("--temperature", "-1"), "temperature is -1.0"),
        (("--limit", "0"), "limit is 0"),
        (("--with", "me"), "unknown writer 'me'"),
    ],
    ids=str,
)
def test_what_cannot_begin_is_told_in_a_sentence(monkeypatch, capsys, options, message):
    assert talk(monkeypatch, "", *options) == 2
    assert message in capsys.readouterr().err


def test_a_weight_that_is_no_number(monkeypatch, capsys, adapter):
    assert talk(monkeypatch, "", "--adapter", f"{adapter}:half") == 2
    assert "half" in capsys.readouterr().err
