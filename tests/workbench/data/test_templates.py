"""Templates: exact texts, the boundary between prompt and response, and what counts in the loss."""

import pytest

from workbench.data.records import Record
from workbench.data.templates import TEMPLATES, Example, continuation, prompt_ids, render
from workbench.errors import InputError
from workbench.models.tokenizer import CharacterTokenizer

RECORD = Record(id="a", prompt="go", response="went")
WITH_CONTEXT = Record(id="b", prompt="Sort.\n\n2, 1", response="1, 2", context="2, 1")


class Pieces:
    """A tokenizer that, like real ones, would merge across the boundary if it saw both sides at once."""

    name, bos, eos = "pieces", None, 0
    merges = ("=w", "we", "nt")

    def encode(self, text):
        ids = []
        while text:
            piece = next((merge for merge in self.merges if text.startswith(merge)), text[0])
            ids.append(1000 + self.merges.index(piece) if piece in self.merges else ord(piece))
            text = text[len(piece) :]
        return ids

    def render_chat(self, messages, *, add_generation_prompt=False):
        turns = "".join(f"<{one['role']}>{one['content']}</>" for one in messages)
        return turns + "<assistant>" * add_generation_prompt


class WithBos(Pieces):
    bos = 7


def asked(template, record):
    """The prompt's text, read back from its characters."""
    return "".join(chr(token) for token in prompt_ids(template, record, Letters()))


class Letters(Pieces):
    merges = ()


ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the "
    "request."
    "\n\n### Instruction:\ngo\n\n### Response:"
)
ALPACA_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
    "\n\n### Instruction:\nSort.\n\n### Input:\n2, 1\n\n### Response:"
)


@pytest.mark.parametrize(
    ("template", "record", "text"),
    [
        ("plain", RECORD, "go\n"),
        ("plain", WITH_CONTEXT, "Sort.\n\n2, 1\n"),
        ("verbatim", RECORD, "go"),
        ("verbs", RECORD, "past go="),
        ("chat", RECORD, "<user>go</><assistant>"),
        ("chat", WITH_CONTEXT, "<user>Sort.\n\n2, 1</><assistant>"),
        ("alpaca", RECORD, ALPACA),
        ("alpaca", WITH_CONTEXT, ALPACA_WITH_INPUT),
    ],
)
def test_texts(template, record, text):
    assert asked(template, record) == text


def test_every_template_has_its_text_above():
    assert set(TEMPLATES) == {"plain", "verbatim", "verbs", "chat", "alpaca"}


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_prompt_then_response_then_end(template):
    tokenizer = WithBos()
    example = render(template, RECORD, tokenizer)
    prompt = prompt_ids(template, RECORD, tokenizer)
    assert example == Example((*prompt, *tokenizer.encode("went"), tokenizer.eos), len(prompt))
    # the end token is learnt, once, and the first token goes before texts only
    assert example.token_ids.count(tokenizer.eos) == 1
    assert (example.token_ids[0] == tokenizer.bos) == (template != "chat")


def test_no_token_spans_the_boundary():
    example = render("verbs", RECORD, Pieces())
    spanning = 1000 + Pieces.merges.index("=w")
    assert spanning in Pieces().encode("past go=went")
    assert spanning not in example.token_ids
    # so the prompt is asked as it was trained
    assert list(example.token_ids[: example.prompt_length]) == Pieces().encode("past go=")


def test_a_continuation_changes_the_response_alone():
    right, wrong = render("verbs", RECORD, Pieces()), continuation("verbs", RECORD, "goed", Pieces())
    assert right.prompt_length == wrong.prompt_length
    assert right.token_ids[: right.prompt_length] == wrong.token_ids[: wrong.prompt_length]
    assert wrong.token_ids[wrong.prompt_length :] == (*map(ord, "goed"), 0)


def test_the_classroom_form():
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz =")
    example = render("verbs", RECORD, tokenizer)
    assert tokenizer.decode(example.token_ids) == "<bos>past go=went<eos>"
    assert tokenizer.decode(example.token_ids[: example.prompt_length]) == "<bos>past go="


def test_refuses():
    with pytest.raises(InputError, match=r"unknown template 'alpacca'\. Did you mean 'alpaca'\?"):
        render("alpacca", RECORD, Pieces())
    endless = Pieces()
    endless.eos = None
    with pytest.raises(InputError, match=r"tokenizer \(pieces\) has no end token"):
        render("plain", RECORD, endless)
    with pytest.raises(InputError, match="no chat template"):
        render("chat", RECORD, CharacterTokenizer("abc"))
    with pytest.raises(InputError, match="character 'g'"):
        render("verbatim", RECORD, CharacterTokenizer("abc"))
