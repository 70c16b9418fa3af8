"""What the messages of an export advise, done."""

from dataclasses import replace

import pytest
from follows import follows

from workbench.errors import InputError
from workbench.exporting.exporter import export_model
from workbench.exporting.texts import PROMPTS, RUNNING_TEXTS, read_texts

ASKED = {"prompts": PROMPTS[:2], "heldout": RUNNING_TEXTS[:1]}


@follows(
    "give the name of a folder that isn't, or move it away",
    "is a folder; give the name of a file, such as",
    "this format is a GGUF; give a name that ends in .gguf",
)
def test_a_place_that_a_message_names_is_taken(base, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for format in ("safetensors", "f32"):
        with pytest.raises(InputError, match="give the name of a"):
            export_model(base, tmp_path / "out", format, **ASKED)
    assert export_model(base, tmp_path / "other", "safetensors", **ASKED).path.is_dir()
    assert export_model(base, tmp_path / "out" / "model.gguf", "f32", **ASKED).path.is_file()
    (tmp_path / "out").rename(tmp_path / "away")
    assert export_model(base, tmp_path / "out", "safetensors", **ASKED).path.is_dir()
    with pytest.raises(InputError, match=r"give a name that ends in \.gguf"):
        export_model(base, tmp_path / "m.bin", "f32", **ASKED)
    assert export_model(base, tmp_path / "m.gguf", "f32", **ASKED).path.is_file()


@follows("none of the prompts has two tokens that this base reads; give longer ones")
def test_longer_prompts_are_compared(base, tmp_path):
    with pytest.raises(InputError, match="give longer ones"):
        export_model(base, tmp_path / "m.gguf", "f32", prompts=(), heldout=("",))
    assert export_model(base, tmp_path / "m.gguf", "f32", prompts=(), heldout=("longer",)).tokens > 1


@follows(
    "holds a text; name it as one of them",
    "holds no text; give a file with one prompt a line, or JSON Lines",
    "isn't UTF-8 text",
    "give JSON Lines, or .txt with one text a line",
)
@pytest.mark.parametrize(
    ("name", "wrong", "message", "other", "right"),
    [
        ("a.jsonl", b'{"asked": "Why?"}', "name it as one of them", "a.jsonl", b'{"prompt": "Why?"}'),
        ("a.txt", b"\n", "give a file with one prompt a line", "a.txt", b"Why?\n"),
        ("a.txt", b"Warum \xe4?", "save it as UTF-8", "a.txt", b"Why?"),
        ("a.jsonl", b"Why?", "or .txt with one text a line", "a.txt", b"Why?"),
    ],
    ids=["key", "empty", "latin", "no JSON"],
)
def test_a_file_that_a_message_describes_is_read(tmp_path, name, wrong, message, other, right):
    (tmp_path / name).write_bytes(wrong)
    with pytest.raises(InputError, match=message):
        read_texts(tmp_path / name)
    (tmp_path / other).write_bytes(right)
    assert read_texts(tmp_path / other) == ["Why?"]


def test_a_folder_carries_a_card_of_what_it_was_made_of(base, adapter, tmp_path):
    made = export_model(base, tmp_path / "out", "safetensors", adapter=adapter, **ASKED)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    head = card.split("---")[1]
    assert f'base_model: "{base.name}"' in head
    assert "license:" not in head
    for told in (base.sha256, adapter.name, str(made.written), str(made.tolerance)):
        assert told in card


def test_the_texts_that_differ_most_are_named_as_they_were_asked(base, tmp_path):
    """Not by what a chat template puts before every prompt."""
    told = replace(base.tokenizer, chat_template="Long before it all. {{ messages[0]['content'] }}")
    made = export_model(replace(base, tokenizer=told), tmp_path / "m.gguf", "q8_0", **ASKED)
    assert made.written.worst
    assert {text for _, text in made.written.worst} <= {*ASKED["prompts"], *ASKED["heldout"]}
