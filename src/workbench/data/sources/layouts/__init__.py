"""The layouts in which people keep records, each found by the keys of its objects."""

from workbench.data.sources.containers.table_text import REFERENCE, SLOTS
from workbench.data.sources.layouts.conversations import (
    conversation_rows,
    count_turns,
    has_messages,
    prompt_and_completion,
    prompt_and_completion_rows,
)
from workbench.data.sources.layouts.layout import Layout, counted, each
from workbench.data.sources.layouts.nested import (
    has_solutions,
    is_pair,
    is_preference,
    is_task,
    pair_rows,
    preference_rows,
    solution_rows,
    task_rows,
)
from workbench.data.sources.layouts.plain_keys import plain_keys
from workbench.data.sources.layouts.trees import (
    best_path,
    count_message_turns,
    count_tree_turns,
    every_path,
    is_message,
    is_tree,
    message_rows,
    tree_rows,
)

_IDS = {"id": "id", "system": "system"}
_TREES = "trees of Open Assistant"
_MESSAGES = "messages of Open Assistant"
_OASST = "oasst_data/schemas.py of Open Assistant"

LAYOUTS: dict[str, Layout] = {
    "gpt4all": plain_keys(
        "prompts and responses with their source, as GPT4All has them",
        "GPT4All's training data",
        also=("source",),
        prompt="prompt",
        response="response",
    ),
    "prompt-response": plain_keys("", "the workbench's own", prompt="prompt", response="response"),
    "alpacaeval": plain_keys(
        "outputs of a model, as AlpacaEval has them",
        "AlpacaEval's model outputs",
        template="alpaca",
        also=("generator",),
        prompt="instruction",
        response="output",
        context="input",
    ),
    "alpaca": plain_keys(
        "Alpaca",
        "Stanford Alpaca, alpaca_data.json",
        template="alpaca",
        prompt="instruction",
        response="output",
        context="input",
    ),
    "dolly": plain_keys(
        "Dolly",
        "Databricks Dolly 15k",
        template="alpaca",
        prompt="instruction",
        response="response",
        context="context",
    ),
    "sharegpt": Layout(
        title="ShareGPT",
        origin="ShareGPT, as FastChat trains on it",
        template="chat",
        fits=has_messages,
        rows=each(conversation_rows),
        keys={**_IDS, "messages": "conversations"},
        counts=count_turns,
    ),
    "messages": Layout(
        title="OpenAI messages",
        origin="OpenAI's chat format, as TRL trains on it",
        template="chat",
        fits=has_messages,
        rows=each(conversation_rows),
        keys={**_IDS, "messages": "messages"},
        counts=count_turns,
    ),
    "messages-completion": Layout(
        title="messages in prompt and completion",
        origin="TRL's conversational prompt-completion format",
        template="chat",
        fits=prompt_and_completion,
        known_by="prompt and completion, both lists of turns",
        rows=each(prompt_and_completion_rows),
        keys=_IDS,
        counts=count_turns,
    ),
    "oasst-trees": Layout(
        title=f"{_TREES}, the best-ranked path of each (every path: --read-as oasst-trees-all)",
        origin=_OASST,
        template="chat",
        fits=is_tree,
        known_by="message_tree_id, and prompt with replies",
        rows=tree_rows(best_path),
        counts=count_tree_turns,
    ),
    "oasst-trees-all": Layout(
        title=f"{_TREES}, every path",
        origin=_OASST,
        template="chat",
        fits=is_tree,
        known_by="message_tree_id, and prompt with replies",
        rows=tree_rows(every_path),
        counts=count_tree_turns,
        by_name_only=True,
    ),
    "oasst-messages": Layout(
        title=f"{_MESSAGES}, the best-ranked path of each tree (every path: --read-as oasst-messages-all)",
        origin=_OASST,
        template="chat",
        fits=is_message,
        known_by="message_id, parent_id, role, text",
        rows=message_rows(best_path),
        counts=count_message_turns,
    ),
    "oasst-messages-all": Layout(
        title=f"{_MESSAGES}, every path of each tree",
        origin=_OASST,
        template="chat",
        fits=is_message,
        known_by="message_id, parent_id, role, text",
        rows=message_rows(every_path),
        counts=count_message_turns,
        by_name_only=True,
    ),
    "hh": Layout(
        title="pairs of a chosen and a rejected answer (the chosen one is learnt)",
        origin="Anthropic's hh-rlhf",
        template="verbatim",
        fits=is_pair,
        known_by="chosen, rejected, no prompt",
        rows=each(pair_rows),
        keys={"id": "id"},
        counts=counted("pairs"),
    ),
    "preference": Layout(
        title="prompts with a chosen and a rejected answer (the chosen one is learnt)",
        origin="TRL's preference format",
        template="plain",
        fits=is_preference,
        known_by="prompt, chosen, rejected",
        rows=each(preference_rows),
        keys=_IDS,
        counts=counted("pairs"),
    ),
    "self-instruct": Layout(
        title="Self-Instruct tasks",
        origin="Self-Instruct, seed_tasks.jsonl",
        template="alpaca",
        fits=is_task,
        known_by="instruction, instances",
        rows=each(task_rows),
        keys={"id": "id"},
        counts=counted("tasks"),
    ),
    "solutions": Layout(
        title="problems with solutions of several models",
        origin="grade-school-math, example_model_solutions.jsonl",
        template="plain",
        fits=has_solutions,
        known_by="question, and objects with solution and is_correct",
        rows=each(solution_rows),
        keys={"id": "id"},
        counts=counted("problems"),
    ),
    "question-answer": plain_keys(
        "questions and answers",
        "grade-school-math, and many others",
        prompt="question",
        response="answer",
        context="context",
    ),
    "query-response": plain_keys("queries and responses", "many", prompt="query", response="response"),
    "prompt-completion": plain_keys(
        "prompts and completions", "OpenAI's and TRL's", prompt="prompt", response="completion"
    ),
    "input-target": plain_keys(
        "inputs and targets", "many", never=("instruction",), prompt="input", response="target"
    ),
    "input-output": plain_keys(
        "inputs and outputs", "many", never=("instruction",), prompt="input", response="output"
    ),
    "e2e": plain_keys(
        "slots and references, as E2E has them",
        "E2E NLG, as the LoRA repository has it",
        prompt=SLOTS,
        response=REFERENCE,
    ),
    "text": plain_keys(
        "texts without prompts (all of each is learnt)",
        "texts for pre-training",
        never=("question_id", "answer_id", "review_id", "message_id"),
        response="text",
    ),
}
"""Every layout by its name. Of several that fit as many objects of a file, the first one is taken."""
