"""What studies recorded is read again to the bit: ids and fingerprints of files as people have had them."""

import json

import pytest

from workbench.data.sources import load_dataset

OWN = [
    *({"prompt": f"What is {n}?", "response": f"{n} is é\u2028{n * n}.", "source": "web"} for n in range(12)),
    {
        "prompt": "What is 1?",
        "response": "One.",
        "id": 7,
        "system": "Be kind.",
        "history": [["Hi", "Hello"]],
        "choices": ["One.", "Two."],
    },
    {"prompt": "What is 1?", "response": "Uno.", "alternatives": ["Due."]},
]
ALPACA = [
    *(
        {
            "instruction": f"Do {n}.",
            "input": "" if n % 2 else f"with {n}",
            "output": f"done {n}",
            "category": "x",
        }
        for n in range(12)
    ),
    {"instruction": "Do 1.", "output": "again"},
]


@pytest.mark.parametrize(
    ("records", "template", "fingerprint", "held", "last"),
    [
        pytest.param(
            OWN,
            "plain",
            "4d66186cd2a099f2a3e78360858fbb22e07120a52f6524a34781cf9137b42d3b",
            ["5863571629e71ec5", "454627f70e23a0f3", "4b34900d79ecbe09"],
            ["2f30982abaccb28a", "7", "6fcc150ce77c8c26-2"],
            id="prompt-response",
        ),
        pytest.param(
            ALPACA,
            "alpaca",
            "f78f0246d416dc456ce9a0b0cfc93552dda727fd056a13e95e57ffdfccdfb6fc",
            ["0409f42640680206", "023083538631cb42", "5923c1b284831f2a"],
            ["aef0b9798bb2eaf0", "8cdba6671341526c", "29fe27ebce5f0b26-2"],
            id="alpaca",
        ),
    ],
)
def test_ids_and_fingerprints_stay(tmp_path, records, template, fingerprint, held, last):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    dataset = load_dataset(path, heldout=3)
    assert dataset.fingerprint == fingerprint
    assert [record.id for record in dataset.heldout] == held
    assert [record.id for record in dataset.train][-3:] == last
    assert dataset.template == template
