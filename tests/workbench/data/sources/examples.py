"""A few objects of every layout, for the tests that run over the dict."""

import json
from pathlib import Path


def turns(*texts, role="role", text="content", names=("user", "assistant")):
    return [{role: names[place % 2], text: one} for place, one in enumerate(texts)]


def share(*texts):
    return turns(*texts, role="from", text="value", names=("human", "gpt"))


def node(name, role, text, *replies, **more):
    return {"message_id": name, "role": role, "text": text, "replies": list(replies), **more}


def tree(n, answer):
    best = node(f"{n}b", "assistant", answer, rank=0)
    other = node(f"{n}o", "assistant", "worse", rank=1)
    return node(f"{n}", "prompter", f"ask {n}?", other, best)


def flat(n, answer):
    asked = {"message_id": f"{n}", "parent_id": None, "role": "prompter", "text": f"ask {n}?"}
    answered = [("o", "worse", 1), ("b", answer, 0)]
    return [
        asked,
        *(
            {"message_id": f"{n}{name}", "parent_id": f"{n}", "role": "assistant", "text": text, "rank": rank}
            for name, text, rank in answered
        ),
    ]


def pair(n, answer):
    asked = f"\n\nHuman: ask {n}?\n\nAssistant:"
    return {"chosen": asked + answer, "rejected": f"{asked} no"}


EXAMPLES = {
    "gpt4all": lambda n, answer: {"prompt": f"ask {n}?", "response": answer, "source": "web"},
    "prompt-response": lambda n, answer: {"prompt": f"ask {n}?", "response": answer},
    "alpacaeval": lambda n, answer: {"instruction": f"ask {n}?", "output": answer, "generator": "m"},
    "alpaca": lambda n, answer: {"instruction": f"ask {n}?", "input": "", "output": answer},
    "dolly": lambda n, answer: {"instruction": f"ask {n}?", "context": "", "response": answer},
    "sharegpt": lambda n, answer: {"id": f"c{n}", "conversations": share(f"ask {n}?", answer)},
    "messages": lambda n, answer: {"messages": turns(f"ask {n}?", answer)},
    "messages-completion": lambda n, answer: {
        "prompt": turns(f"ask {n}?"),
        "completion": [{"role": "assistant", "content": answer}],
    },
    "oasst-trees": lambda n, answer: {"message_tree_id": f"t{n}", "prompt": tree(n, answer)},
    "oasst-trees-all": lambda n, answer: {"message_tree_id": f"t{n}", "prompt": tree(n, answer)},
    "oasst-messages": flat,
    "oasst-messages-all": flat,
    "hh": pair,
    "preference": lambda n, answer: {"prompt": f"ask {n}?", "chosen": answer, "rejected": "no"},
    "self-instruct": lambda n, answer: {
        "id": f"s{n}",
        "instruction": f"ask {n}?",
        "instances": [{"input": "", "output": answer}],
    },
    "solutions": lambda n, answer: {
        "question": f"ask {n}?",
        "ground_truth": "yes",
        "small": {"solution": answer, "is_correct": False},
    },
    "question-answer": lambda n, answer: {"question": f"ask {n}?", "answer": answer},
    "query-response": lambda n, answer: {"query": f"ask {n}?", "response": answer},
    "prompt-completion": lambda n, answer: {"prompt": f"ask {n}?", "completion": answer},
    "input-target": lambda n, answer: {"input": f"ask {n}?", "target": answer},
    "input-output": lambda n, answer: {"input": f"ask {n}?", "output": answer},
    "e2e": lambda n, answer: {"slots": f"ask {n}?", "reference": answer},
    "text": lambda n, answer: {"text": answer},
}
"""For each layout what makes an object, or the objects, of a number and an answer."""


def objects(name: str, answers) -> list[dict]:
    """Return the objects of a layout for some answers."""
    made = [EXAMPLES[name](n, answer) for n, answer in enumerate(answers)]
    return [item for one in made for item in (one if isinstance(one, list) else [one])]


def jsonl(path: Path, values) -> Path:
    """Write objects, each on a line."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def everything(dataset) -> list:
    """Return all records of a data set."""
    return [*dataset.train, *dataset.heldout]
