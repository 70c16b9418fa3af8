"""Layouts in which an object isn't simply one record: pairs of answers, tasks with instances, solutions.

Sources: https://github.com/anthropics/hh-rlhf (pairs), https://github.com/yizhongw/self-instruct (tasks),
https://github.com/openai/grade-school-math, ``example_model_solutions.jsonl`` (solutions).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.data.sources.items import Item, kind_in_words
from workbench.data.sources.layouts.layout import Keys, Row, Unusable, needed, without

ANSWER_MARK = "\n\nAssistant:"
"""Stands before every answer of a pair's two texts."""
PARTED = "part before their last answer, so the answer is all that follows what they share"


def is_pair(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object is two whole conversations of which one was preferred."""
    return "prompt" not in values and all(isinstance(values.get(key), str) for key in ("chosen", "rejected"))


def pair_rows(item: Item, keys: Keys) -> Iterator[Row]:
    """Yield the record of a pair: what both begin with is asked, the preferred rest is answered."""
    chosen, rejected = needed(item, "chosen"), needed(item, "rejected")
    odd = next((one for one in (chosen, rejected) if not isinstance(one, str)), "")
    if odd != "":
        raise Unusable("with 'chosen' or 'rejected' that isn't a text", kind_in_words(odd))
    differ = (place for place, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b)
    shared = next(differ, min(len(chosen), len(rejected)))
    end = chosen.rfind(ANSWER_MARK, 0, shared)
    if end < 0:
        raise Unusable(f"whose 'chosen' and 'rejected' share no question, up to a {ANSWER_MARK!r}")
    end += len(ANSWER_MARK)
    yield Row(
        place=item.place,
        values={
            "prompt": chosen[:end],
            "response": chosen[end:],
            "alternatives": [rejected[end:]] if rejected[end:].strip() else [],
            **_own_id(item, keys),
        },
        columns=without(item.values, "chosen", "rejected", keys["id"]),
        names={"prompt": "question", "response": "answer of 'chosen'", "alternatives": "'rejected'"},
        remarks=[PARTED] if ANSWER_MARK in chosen[end:] or ANSWER_MARK in rejected[end:] else [],
    )


def is_preference(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object is a prompt with a preferred answer and another one."""
    return all(isinstance(values.get(key), str) for key in ("prompt", "chosen", "rejected"))


def preference_rows(item: Item, keys: Keys) -> Iterator[Row]:
    """Yield the record of a prompt with a preferred answer; the other one is its alternative."""
    rejected = item.values.get("rejected")
    yield Row(
        place=item.place,
        values={
            "prompt": needed(item, "prompt"),
            "response": needed(item, "chosen"),
            "alternatives": [rejected] if isinstance(rejected, str) and rejected.strip() else [],
            "system": item.values.get(keys["system"]),
            **_own_id(item, keys),
        },
        columns=without(item.values, "prompt", "chosen", "rejected", keys["id"], keys["system"]),
        names={"response": "'chosen'", "alternatives": "'rejected'"},
    )


def is_task(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object is an instruction with instances."""
    return "instruction" in values and isinstance(values.get("instances"), list)


def task_rows(item: Item, keys: Keys) -> Iterator[Row]:
    """Yield a record for each instance of a task."""
    instances = needed(item, "instances")
    if not isinstance(instances, list) or not instances:
        raise Unusable("without instances")
    for number, instance in enumerate(instances, 1):
        if not isinstance(instance, dict):
            raise Unusable("with an instance that is no object", kind_in_words(instance))
        alone = len(instances) == 1
        yield Row(
            place=item.place if alone else f"{item.place}, instance {number}",
            values={
                "prompt": needed(item, "instruction"),
                "context": instance.get("input"),
                "response": instance.get("output"),
                **_own_id(item, keys),
            },
            columns={
                **without(item.values, "instruction", "instances", keys["id"]),
                **without(instance, "input", "output"),
            },
            names={"prompt": "'instruction'", "context": "'input'", "response": "'output'"},
            part="" if alone else str(number),
        )


def has_solutions(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object is a problem with solutions by several models."""
    return isinstance(values.get("question"), str) and any(map(_is_solution, values.values()))


def solution_rows(item: Item, keys: Keys) -> Iterator[Row]:
    """Yield a record for each solution of a problem."""
    solutions = {name: value for name, value in item.values.items() if _is_solution(value)}
    if not solutions:
        raise Unusable("without solutions, each an object with 'solution' and 'is_correct'")
    for model, solution in solutions.items():
        yield Row(
            place=f"{item.place}, {model!r}",
            values={
                "prompt": needed(item, "question"),
                "response": solution["solution"],
                **_own_id(item, keys),
            },
            columns={
                **without(item.values, "question", keys["id"], *solutions),
                **without(solution, "solution"),
                "model": model,
            },
            names={"prompt": "'question'", "response": "'solution'"},
            part=model,
        )


def _is_solution(value: object) -> bool:
    return isinstance(value, dict) and {"solution", "is_correct"} <= value.keys()


def _own_id(item: Item, keys: Keys) -> dict[str, Any]:
    return {"id": item.values[keys["id"]]} if keys["id"] in item.values else {}
