"""Loss on every answer: each turn counts what it would count as a record of its own, and nothing else does.

The oracle for chats is ``transformers``, asked turn by turn: what ``apply_chat_template`` writes behind the
generation prompt of the conversation up to a turn, up to where a generation stops.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_chat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data.heldout import hold_out, opening
from workbench.data.lengths import fit_context, longest
from workbench.data.records import Dataset, Record
from workbench.data.templates import TEMPLATES, prompt_ids, render
from workbench.data.turns import Turn, joined
from workbench.errors import InputError
from workbench.models.loaders import load_base

transformers = pytest.importorskip("transformers")

REAL = Path(__file__).resolve().parents[4] / "shared" / "real" / "fastchat_dummy_conversation.json"
QUIET = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.lists(
    st.sampled_from([*tiny_chat.WORDS, "(a)", "x", "12", "é", "\n", "?", "late.", "."]),
    min_size=1,
    max_size=5,
).map(" ".join)
ANSWER = st.one_of(TEXT, st.text(alphabet="Ye s.(\n:é", min_size=1, max_size=6)).filter(str.strip)
SYSTEMS = ("llama-2", "zephyr", "chatml", "marked", "llama-3")

# as Qwen3's: an earlier answer loses its thinking, the last one gets an empty thought if it has none
QWEN3 = tiny_chat.CHATML.replace(
    "message['content']",
    "((message['content'].split('</think>')[-1].lstrip('\n') if not loop.last else "
    "('' if '</think>' in message['content'] else '<think>\n\n</think>\n\n') + message['content']) "
    "if message['role'] == 'assistant' else message['content'])",
)
# as DeepSeek-R1's: an earlier answer loses its thinking
THINKING = tiny_chat.CHATML.replace(
    "message['content']",
    "(message['content'].split('</think>')[-1].lstrip('\n') "
    "if message['role'] == 'assistant' and not loop.last else message['content'])",
)
# as Mistral's: the system text stands before what is asked last
SYSTEM_LAST = (
    "{% set ns = namespace(last=-1, system='') %}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{% set ns.system = message['content'] + '\n\n' %}{% endif %}"
    "{% if message['role'] == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + (ns.system if loop.index0 == ns.last else '') + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] | trim + eos_token }}"
    "{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """(kind of chat, kind of tokenizer) -> (our tokenizer, transformers')."""
    root, made = tmp_path_factory.mktemp("chat"), {}

    def make(kind, cut="byte-level", **options):
        if (kind, cut, *options.values()) not in made:
            folder = tiny_chat.make_folder(root / str(len(made)), kind, cut, **options)
            theirs = transformers.AutoTokenizer.from_pretrained(folder)
            made[kind, cut, *options.values()] = load_base(folder).tokenizer, theirs
        return made[kind, cut, *options.values()]

    return make


@st.composite
def conversations(draw, *, system=True):
    history = draw(st.lists(st.tuples(TEXT, ANSWER), max_size=3))
    return Record(
        id="a",
        prompt=draw(TEXT),
        response=draw(ANSWER),
        history=tuple(history),
        system=draw(st.sampled_from(["", "Be brief."])) if system else "",
    )


def prefixes(record):
    """The conversation up to each answer, as a record of its own."""
    turns = (*record.history, (record.prompt, record.response))
    return [
        replace(record, history=turns[:place], prompt=asked, response=said)
        for place, (asked, said) in enumerate(turns)
    ]


def messages_of(record):
    turns = [*record.history, (record.prompt, record.response)]
    told = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    return [{"role": "system", "content": record.system}] * bool(record.system) + told


def as_transformers_writes(theirs, kind, record):
    """The conversation's tokens, and the places and tokens of its answers."""
    end = theirs.convert_tokens_to_ids(tiny_chat.KINDS[kind][2])
    labels = []
    for one in prefixes(record):
        asked = theirs.apply_chat_template(
            messages_of(one)[:-1], add_generation_prompt=True, return_dict=False
        )
        whole = theirs.apply_chat_template(messages_of(one), return_dict=False)
        said = whole[len(asked) :]
        said = said[: said.index(end) + 1] if end in said else [*said, end]
        labels += enumerate(said, len(asked))
    return [*asked, *said], labels


@pytest.mark.parametrize("cut", tiny_chat.TOKENIZERS)
@pytest.mark.parametrize("kind", tiny_chat.KINDS)
@QUIET
@given(data=st.data())
def test_a_chat_counts_what_transformers_writes_turn_by_turn(folders, kind, cut, data):
    ours, theirs = folders(kind, cut)
    record = data.draw(conversations(system=kind in SYSTEMS))
    example = render("chat", record, ours, "all")
    whole, labels = as_transformers_writes(theirs, kind, record)
    assert (example.earlier_learnt, example.earlier_missed) == (len(record.history), 0)
    if not example.merged:
        assert list(example.token_ids) == whole
        assert example.labels == labels
    if kind == "marked" and not example.merged:
        # the template says itself what the assistant wrote
        marked = theirs.apply_chat_template(
            messages_of(record), return_dict=True, return_assistant_tokens_mask=True
        )["assistant_masks"]
        assert [place for place, _ in example.labels] == [n for n, told in enumerate(marked) if told]


@pytest.mark.parametrize("cut", tiny_chat.TOKENIZERS)
@pytest.mark.parametrize("template", sorted(set(TEMPLATES) - {"verbs"}))
@QUIET
@given(record=conversations())
def test_all_is_the_union_of_each_turn_as_the_last(folders, template, cut, record):
    ours, _ = folders("zephyr", cut)
    example = render(template, record, ours, "all")
    each = [render(template, one, ours) for one in prefixes(record)]
    assert [token for _, token in example.labels] == [token for one in each for _, token in one.labels]
    assert render(template, record, ours) == each[-1]
    if not example.merged:
        assert example.labels == [label for one in each for label in one.labels]
        assert example.token_ids == each[-1].token_ids
    # every label but an end that the text lacks stands at its place
    lacking = [place for place, token in example.labels if example.token_ids[place] != token]
    assert len(lacking) == (0 if template == "chat" else len(record.history))
    # what counts is each answer with its end, and nothing else
    stop = ours.decode([ours.eos])
    said = ours.decode([token for _, token in example.labels]).split(stop)
    spaced = [text.strip() for text in (*(answer for _, answer in record.history), record.response, "")]
    assert [text.strip() for text in said] == spaced
    # what precedes the last answer is what a generation is asked with
    asked = prompt_ids(template, record, ours, "all")
    assert list(example.token_ids[: example.prompt_length]) == asked
    if not example.merged:
        assert asked == prompt_ids(template, record, ours)


class Merging:
    """Letters, and one token for a full stop with new lines behind it, as large vocabularies have."""

    name, bos, eos, stops = "merging", None, 0, frozenset({0})

    def encode(self, text):
        return [ord(letter) for letter in text.replace(".\n\n", "\1")]

    def render_chat(self, messages, *, add_generation_prompt=False):
        raise NotImplementedError

    def first_special(self, text):
        return None


@pytest.mark.parametrize("template", ["plain", "alpaca"])
def test_an_answer_s_end_is_cut_as_it_was_written(template):
    """Merged with what follows, it would leave no place to end at."""
    record = Record(id="a", prompt="b", response="no.", history=(("a", "yes."),))
    assert "s\1" in "".join(map(chr, render(template, record, Merging()).token_ids))
    example = render(template, record, Merging(), "all")
    assert example.merged
    text = "".join(map(chr, example.token_ids))
    each = [render(template, one, Merging()) for one in prefixes(record)]
    assert [token for _, token in example.labels] == [token for one in each for _, token in one.labels]
    assert prompt_ids(template, record, Merging(), "all") == list(example.token_ids[: example.prompt_length])
    # the same text, and each label stands where its turn has it, but for the end of the first answer
    assert text.replace("\1", ".\n\n") == "".join(map(chr, each[1].token_ids)).replace("\1", ".\n\n")
    assert sum(example.token_ids[place] != token for place, token in example.labels) == 1
    # which makes it longer, and has to fit
    assert longest(record, template, Merging(), "all") == longest(record, template, Merging()) + 2
    data = Dataset(name="d", train=(record,), heldout=(record,), template=template, licence="", origin="")
    for loss_on, room in (("last", 0), ("all", 2)):
        context = longest(record, template, Merging()) + room
        assert fit_context(data, template, Merging(), context, "error", loss_on) is data
        with pytest.raises(InputError, match="longer than"):
            fit_context(data, template, Merging(), context - 1, "error", loss_on)


@QUIET
@given(record=conversations(system=False), thought=TEXT)
def test_an_answer_that_loses_its_thinking_does_not_count(folders, record, thought):
    """Its tokens in the whole conversation aren't those that a generation at that turn writes."""
    ours, theirs = folders("chatml", chat_template=THINKING)
    # those behind it are asked without it, at their turn as afterwards
    plain = tuple((asked, said) for asked, said in record.history if not said.startswith("\n"))
    kept = replace(record, history=(("Is it late?", f"<think>{thought}</think>\n\nYes"), *plain))
    example = render("chat", kept, ours, "all")
    whole, labels = as_transformers_writes(theirs, "chatml", kept)
    assert (example.earlier_learnt, example.earlier_missed) == (len(plain), 1)
    first = render("chat", prefixes(kept)[0], ours)
    if not example.merged:
        assert list(example.token_ids) == whole
        assert example.labels == labels[len(first.labels) :]
    assert "think" not in ours.decode(example.token_ids)


@pytest.mark.parametrize(
    ("template", "system", "learnt"),
    [(QWEN3, "", 0), (SYSTEM_LAST, "Be brief.", 0), (SYSTEM_LAST, "", 2), (THINKING, "Be brief.", 2)],
    ids=["an empty thought at the last", "a system text at the last", "none", "a system text at the first"],
)
def test_templates_that_write_an_earlier_turn_otherwise(folders, template, system, learnt):
    ours, theirs = folders("chatml", chat_template=template)
    history = (("Is it late?", "Yes"), ("Is it lost?", "No"))
    record = Record(id="a", prompt="Is it paid?", response="Yes", history=history, system=system)
    example = render("chat", record, ours, "all")
    assert (example.earlier_learnt, example.earlier_missed) == (learnt, 2 - learnt)
    whole = theirs.apply_chat_template(messages_of(record), return_dict=False)
    assert list(example.token_ids) == whole[: len(example.token_ids)]
    last = render("chat", record, ours)
    each = [render("chat", one, ours) for one in prefixes(record)][2 - learnt :]
    assert example.labels == ([label for one in each for label in one.labels] if learnt else last.labels)


def test_an_answer_that_says_nothing_is_not_learnt(folders):
    ours, _ = folders("zephyr")
    record = Record(id="a", prompt="c", response="no", history=(("a", ""), ("b", " ")))
    for template in ("plain", "chat"):
        assert render(template, record, ours, "all") == render(template, record, ours)
        more = replace(record, history=(*record.history, ("d", "yes")))
        assert render(template, more, ours, "all").earlier_learnt == 1


def test_a_text_between_two_turns_may_be_missing(folders):
    """Then one place has two labels: the end of the answer before, and the beginning of the next one."""
    ours, _ = folders("zephyr")
    example = joined([Turn("a ", "b"), Turn("a b", " c")], ours, [])
    ids = [ours.encode(text) for text in ("a ", "b", " c")]
    assert len({place for place, _ in example.labels}) == len(example.labels) - 1
    assert [token for _, token in example.labels] == [*ids[1], ours.eos, *ids[2], ours.eos]


def shared_conversations():
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} isn't beside the checkout, in shared/real; it may not be copied into it")
    records = []
    for one in json.loads(REAL.read_text(encoding="utf-8")):
        texts = [turn["value"] for turn in one["conversations"]]
        turns = list(zip(texts[::2], texts[1::2], strict=True))
        (prompt, response), history = turns[-1], tuple(turns[:-1])
        records.append(Record(id=one["id"], prompt=prompt, response=response, history=history))
    return records


@pytest.mark.parametrize("template", ["chat", "plain", "alpaca"])
def test_500_conversations_have_1000_answers_and_no_token_is_lost(folders, template):
    ours, theirs = folders("chatml")
    records = shared_conversations()
    examples = [render(template, record, ours, "all") for record in records]
    assert (len(examples), sum(1 + example.earlier_learnt for example in examples)) == (500, 1000)
    assert not any(example.earlier_missed for example in examples)
    answers = [said for record in records for _, said in (*record.history, (record.prompt, record.response))]
    end = "<|im_end|>" if template == "chat" else ours.decode([ours.eos])
    told = "".join(ours.decode([token for _, token in example.labels]) for example in examples)
    assert told == "".join(answer + end for answer in answers)
    if template == "chat":
        for record, example in zip(records, examples, strict=True):
            assert (list(example.token_ids), example.labels) == as_transformers_writes(
                theirs, "chatml", record
            )


def test_conversations_that_begin_alike_are_held_out_together():
    records = shared_conversations()
    train, held = hold_out(records, None, "dummy")
    assert not set(map(opening, train)) & set(map(opening, held))
    assert 0 < len(held) <= 100
