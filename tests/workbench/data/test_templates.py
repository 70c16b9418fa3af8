"""Templates: exact texts, the boundary between prompt and response, and what counts in the loss."""

import pytest
from follows import follows

from workbench.data.records import Record
from workbench.data.templates import TEMPLATES, Example, continuation, prompt_ids, remarks, render, stops
from workbench.errors import InputError
from workbench.models.tokenizer import CharacterTokenizer

RECORD = Record(id="a", prompt="go", response="went")
WITH_CONTEXT = Record(id="b", prompt="Sort.\n\n2, 1", response="1, 2", context="2, 1")


class Pieces:
    """A tokenizer that, like real ones, would merge across the boundary if it saw both sides at once."""

    name, bos, eos, stops = "pieces", None, 0, frozenset({0})
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

    def first_special(self, text):
        return text.find("</>") + 3 if "</>" in text else None


class WithBos(Pieces):
    bos = 7


@follows("nothing stands before a response whose prompt is empty, so its first token would follow from")
def test_a_text_alone_begins_with_something():
    alone = Record(id="a", prompt="", response="went")
    with pytest.raises(InputError, match="such as 'plain'"):
        render("verbatim", alone, Pieces())
    assert render("plain", alone, Pieces()).prompt_length == 1
    assert render("verbatim", alone, WithBos()).prompt_length == 1


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


IN_CONVERSATION = Record(
    id="c", prompt="And 3?", response="no", system="Be brief.", history=(("Is 2 even?", "yes"), ("1?", "no"))
)
TURN = "### Instruction:\n{}\n\n### Response:{}"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "Be brief.\n\nIs 2 even?\nyes\n\n1?\nno\n\nAnd 3?\n"),
        ("verbatim", "Be brief.\nIs 2 even?yes\n1?no\nAnd 3?"),
        (
            "chat",
            "<system>Be brief.</><user>Is 2 even?</><assistant>yes</><user>1?</><assistant>no</>"
            "<user>And 3?</><assistant>",
        ),
        (
            "alpaca",
            "Be brief.\n\n"
            + "".join(TURN.format(*turn) + "\n\n" for turn in IN_CONVERSATION.history)
            + TURN.format("And 3?", ""),
        ),
    ],
)
def test_system_text_and_earlier_turns_are_part_of_what_is_asked(template, text):
    assert asked(template, IN_CONVERSATION) == text
    example = render(template, IN_CONVERSATION, Letters())
    assert "".join(map(chr, example.response_ids)) == "no"


@pytest.mark.parametrize(("template", "end"), [("plain", "\0"), ("alpaca", "\0"), ("chat", "</>")])
def test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else(template, end):
    tokenizer = Letters()
    tokenizer.bos = 7
    example = render(template, IN_CONVERSATION, tokenizer, "all")
    text = "".join(map(chr, example.token_ids))
    # the same text as ever: what ends an answer stands in it only where the template writes it
    assert example.token_ids == render(template, IN_CONVERSATION, tokenizer).token_ids
    assert text.count(end) == (7 if template == "chat" else 1)
    expected = []
    for answer in ("yes", "no", "no"):
        begin = text.index(answer, expected[-1][0] if expected else 0)
        expected += enumerate(map(ord, answer + end), begin)
    assert example.labels == expected
    assert (example.earlier_learnt, example.earlier_missed) == (2, 0)
    assert render(template, IN_CONVERSATION, tokenizer).labels == expected[-len("no" + end) :]


@follows("has no place; use another one, such as 'plain' (--template plain)")
def test_a_template_without_room_for_earlier_turns_refuses_them():
    with pytest.raises(InputError, match=r"'verbs' has no place.*--template plain"):
        render("verbs", IN_CONVERSATION, Letters())
    assert render("plain", IN_CONVERSATION, Letters()).response_ids


class Chat(Letters):
    """Turns that a test writes in its own way."""

    def __init__(self, write):
        self.write = write

    def render_chat(self, messages, *, add_generation_prompt=False):
        return self.write(messages, add_generation_prompt)

    def first_special(self, text):
        return text.find("#") + 1 if "#" in text else None


def said(write, **changes):
    tokenizer = Chat(write)
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    example = render("chat", RECORD, tokenizer)
    ids = example.token_ids[example.prompt_length :]
    return "".join(chr(token) for token in ids), example.end_length, remarks("chat", tokenizer)


def test_the_end_of_a_turn_is_the_template_s():
    def spaced(messages, opened):
        return "".join(f" {one['content']} #\n" for one in messages) + "A:" * opened

    with pytest.raises(InputError, match=r"ends in .*A:'.*--template plain"):
        said(spaced)
    text, end, notes = said(lambda messages, opened: spaced(messages, False))
    assert (text, end) == (" went #", 2)
    assert notes == [
        "the base's chat template ends a turn with '#', which is learnt as the end of each answer"
    ]
    # nothing to remark where that is the tokenizer's own end
    assert said(lambda messages, opened: spaced(messages, False), eos=ord("#"))[2] == []


def test_a_turn_without_an_end_gets_the_tokenizer_s():
    text, end, notes = said(lambda messages, opened: "".join(f"{one['content']}\n" for one in messages))
    assert (text, end) == ("went\n\0", 2)
    assert len(notes) == 1
    assert "ends no turn" in notes[0]


@follows("would not be what a generation continues; use a template without a chat format, such as 'plain'")
@pytest.mark.parametrize(
    "write",
    [
        lambda messages, opened: "".join(f"{one['role']}#" for one in messages),
        lambda messages, opened: "".join(f"{one['content'].upper()}#" for one in messages),
        lambda messages, opened: f"{len(messages)}" + "".join(f"{one['content']}#" for one in messages),
    ],
    ids=["without the answer", "another answer", "another beginning"],
)
def test_a_template_that_writes_another_conversation_is_refused(write):
    with pytest.raises(InputError, match=r"in another way.*--template plain"):
        render("chat", RECORD, Chat(write))
    assert render("plain", RECORD, Chat(write)).response_ids


def test_every_template_has_its_text_above():
    assert set(TEMPLATES) == {"plain", "verbatim", "verbs", "chat", "alpaca"}


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_prompt_then_response_then_end(template):
    tokenizer = WithBos()
    example = render(template, RECORD, tokenizer)
    prompt = prompt_ids(template, RECORD, tokenizer)
    # a chat's turn ends as its template ends it, here in three characters, a text with the end token
    end = tokenizer.encode("</>") if template == "chat" else [tokenizer.eos]
    assert example == Example((*prompt, *tokenizer.encode("went"), *end), len(prompt), len(end))
    assert example.response_ids == tuple(tokenizer.encode("went"))
    assert stops(template, tokenizer) == {tokenizer.eos, end[-1]}
    # the first token goes before texts only
    assert (example.token_ids[0] == tokenizer.bos) == (template != "chat")


def test_no_token_spans_the_boundary():
    example = render("verbs", RECORD, Pieces())
    spanning = 1000 + Pieces.merges.index("=w")
    assert spanning in Pieces().encode("past go=went")
    assert spanning not in example.token_ids
    # so the prompt is asked as it was trained
    assert list(example.token_ids[: example.prompt_length]) == Pieces().encode("past go=")
    assert example.merged
    assert not render("verbs", RECORD, Letters()).merged


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
