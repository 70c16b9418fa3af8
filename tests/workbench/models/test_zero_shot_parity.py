"""Zero-shot scores on the real base are those of transformers' greedy generation, prompt by prompt."""

import pytest
import torch

from workbench.config import CellConfig, Quality
from workbench.data.records import Dataset, Record
from workbench.data.templates import prompt_ids, render, stops
from workbench.models.generation import generate
from workbench.training.evaluation import evaluate
from workbench.training.prepare import prepare

LONGEST = 12
CAPITALS = "France Italy Spain Germany Japan China India Egypt Canada Brazil Greece Norway Sweden Poland Peru"
OPPOSITES = "hot big fast up open light hard early rich happy wet old strong near full loud"
NOUNS = "apple lemon banana snow grass blood coal milk sky rose"


def questions():
    """100 prompts with the answers that a person would give, as far as it is simple to say."""
    found = [
        (f"What is the capital of {country}? Answer with one word.", "Paris") for country in CAPITALS.split()
    ]
    found += [
        (f"What is the opposite of '{word}'? Answer with one word.", "Cold") for word in OPPOSITES.split()
    ]
    found += [(f"Which colour is {noun}? Answer with one word.", "Red") for noun in NOUNS.split()]
    found += [
        (f"What is {a} + {b}? Answer with a number.", str(a + b)) for a in range(1, 8) for b in range(2, 7)
    ]
    found += [(f"Repeat this word: {word}", word) for word in (CAPITALS + " " + OPPOSITES).split()]
    return found[:100]


@pytest.fixture(scope="module")
def theirs(smollm2_path):
    transformers = pytest.importorskip("transformers")
    folder, name = str(smollm2_path.parent), smollm2_path.name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    return transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name), model


@pytest.mark.slow
def test_exact_match_is_that_of_greedy_generation(smollm2, theirs):
    tokenizer, model = theirs
    asked = questions()
    assert len(asked) == 100
    records, expected, written = [], [], []
    for place, (prompt, answer) in enumerate(asked):
        chat = [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        assert ids == prompt_ids("chat", Record(id="a", prompt=prompt, response="x"), smollm2.tokenizer)
        added = model.generate(torch.tensor([ids]), max_new_tokens=LONGEST, do_sample=False)[
            0, len(ids) :
        ].tolist()
        ended = 2 in added
        text = tokenizer.decode(added[: added.index(2)] if ended else added)
        # every other record has the base's own words for an answer: those have to count as right
        response = text if place % 2 and ended and text.strip() else answer
        records.append(Record(id=str(place), prompt=prompt, response=response))
        expected.append(ended and text == response)
        written.append(added[: added.index(2)] if ended else added)
    assert 20 <= sum(expected) <= 80
    dataset = Dataset(
        name="questions", train=tuple(records), heldout=tuple(records), template="chat", licence="", origin=""
    )
    cell = CellConfig(data="questions", base="smollm2", quality=Quality(), size=8, steps=1)
    prepared = prepare(smollm2, dataset, [cell], "chat")
    assert evaluate(prepared.frozen, prepared.heldout, None).exact[0].tolist() == expected
    prompts = [prompt_ids("chat", record, smollm2.tokenizer) for record in records]
    ends = stops("chat", smollm2.tokenizer)
    assert ends == {2}
    assert generate(smollm2.decoder, [prompts], stops=ends, limit=LONGEST)[0] == written
    # and what is trained is what transformers makes of the whole conversation
    for record in records:
        whole = [
            {"role": "user", "content": record.prompt},
            {"role": "assistant", "content": record.response},
        ]
        ids = tokenizer.apply_chat_template(whole, return_dict=False)
        assert list(render("chat", record, smollm2.tokenizer).token_ids) == ids[:-1]
