"""What is trained is what the base's own tokenizer and template make; transformers and llama.cpp judge."""

import pytest
import tiny_chat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.config import CellConfig, Quality
from workbench.data.records import Dataset, Record
from workbench.data.templates import render, stops
from workbench.models.loaders import load_base
from workbench.training.evaluation import evaluate
from workbench.training.prepare import prepare

transformers = pytest.importorskip("transformers")

WORDS = st.lists(
    st.sampled_from([*tiny_chat.WORDS, "(a)", "x", "12", "é", "\n", "?"]), min_size=1, max_size=6
)
ANSWERS = st.one_of(WORDS.map(" ".join), st.text(alphabet="Ye s.(\n:é", min_size=1, max_size=6)).filter(
    str.strip
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Every kind of chat base with every kind of tokenizer: (ours, transformers')."""
    root = tmp_path_factory.mktemp("chat")
    made = {}
    for kind in tiny_chat.KINDS:
        for cut in tiny_chat.TOKENIZERS:
            folder = tiny_chat.make_folder(root / f"{kind} {cut}", kind, cut)
            made[kind, cut] = load_base(folder).tokenizer, transformers.AutoTokenizer.from_pretrained(folder)
    return made


@pytest.mark.parametrize("cut", tiny_chat.TOKENIZERS)
@pytest.mark.parametrize("kind", tiny_chat.KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=WORDS.map(" ".join), answer=ANSWERS)
def test_a_chat_is_what_apply_chat_template_makes(folders, kind, cut, prompt, answer):
    ours, theirs = folders[kind, cut]
    asked, whole = tiny_chat.conversation(theirs, prompt, answer)
    example = render("chat", Record(id="a", prompt=prompt, response=answer), ours)
    turn = theirs.convert_tokens_to_ids(tiny_chat.KINDS[kind][2])
    assert list(example.token_ids[: example.prompt_length]) == asked
    assert example.token_ids[-1] == turn
    assert turn in stops("chat", ours)
    if example.merged:
        # one token lies across the boundary, which a generation never sees; the text is the same
        assert whole[: len(asked)] != asked
        text = theirs.decode(example.token_ids)
        assert theirs.decode(whole).strip().startswith(text.strip().removesuffix(theirs.decode([turn])))
    elif kind == "endless":
        assert list(example.token_ids) == [*whole, turn]
    else:
        # all of the conversation up to the token at which a generation stops
        assert list(example.token_ids) == whole[: len(example.token_ids)]
        assert turn not in theirs.convert_tokens_to_ids(theirs.tokenize(answer))
        assert whole.index(turn, len(asked)) == len(example.token_ids) - 1


@pytest.mark.parametrize("cut", tiny_chat.TOKENIZERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=WORDS.map(" ".join), answer=ANSWERS)
@pytest.mark.parametrize("template", ["plain", "verbatim", "alpaca"])
def test_a_text_is_what_the_tokenizer_makes_of_prompt_and_answer(folders, template, cut, prompt, answer):
    ours, theirs = folders["zephyr", cut]
    record = Record(id="a", prompt=prompt, response=answer)
    example = render(template, record, ours)
    between = {"plain": prompt + "\n", "verbatim": prompt}
    text = between.get(template) or theirs.decode(example.token_ids[1 : example.prompt_length])
    asked, whole = theirs(text)["input_ids"], theirs(text + answer)["input_ids"]
    if template != "alpaca":
        assert list(example.token_ids[: example.prompt_length]) == asked
    if not example.merged:
        assert list(example.token_ids) == [*whole, theirs.eos_token_id]


@pytest.mark.parametrize("cut", tiny_chat.TOKENIZERS)
def test_a_boundary_that_would_be_merged_is_kept_and_told(folders, cut):
    ours, theirs = folders["zephyr", cut]
    record = Record(id="a", prompt="It is la", response="te")
    example = render("verbatim", record, ours)
    assert theirs("It is late")["input_ids"] != list(example.token_ids[:-1])
    assert example.merged
    assert list(example.token_ids[: example.prompt_length]) == theirs("It is la")["input_ids"]
    # a continuation, with no space before it
    assert theirs.decode(example.token_ids[1:-1]) == "It is late"


@pytest.mark.parametrize(
    ("kind", "cut"),
    [
        ("llama-2", "sentencepiece"),
        ("llama-2", "legacy sentencepiece"),
        ("zephyr", "sentencepiece"),
        ("chatml", "byte-level"),
        ("marked", "byte-level"),
        ("llama-3", "byte-level"),
        ("gemma", "sentencepiece"),
    ],
)
@pytest.mark.slow
def test_a_base_that_is_right_by_generation_is_right_here(tmp_path, kind, cut):
    folder = tiny_chat.make_folder(tmp_path / "base", kind, cut)
    assert tiny_chat.train(folder, kind) == 40
    base = load_base(folder)
    records = tuple(
        Record(id=str(place), prompt=prompt, response=answer, choices=("Yes", "No"))
        for place, (prompt, answer) in enumerate(zip(tiny_chat.PROMPTS, tiny_chat.ANSWERS, strict=True))
    )
    dataset = Dataset(name="forty", train=records, heldout=records, template="chat", licence="", origin="")
    cell = CellConfig(data="forty", base="base", quality=Quality(), size=8, steps=1)
    prepared = prepare(base, dataset, [cell], "chat")
    metrics = evaluate(prepared.frozen, prepared.heldout, None).metrics(0)
    assert (metrics["exact_match"], metrics["choice_accuracy"]) == (1.0, 1.0)
    assert metrics["loss"] < 0.01
