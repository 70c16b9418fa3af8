"""Questions about data that exist, on SmolLM2-135M at `coffee`; writes docs/natural.md.

    python benchmarks/natural.py --data FOLDER --runs FOLDER --output docs/natural.md

``--data`` holds the files of AlpacaEval, Self-Instruct and Alpaca that the page names: the workbench may not
carry most of them. A study that ``--runs`` holds already isn't trained again. The page holds numbers alone,
none of the texts.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.files import write_atomically
from workbench.results import Results, open_study

LOSS = "loss"
FIRST = 600
"""Records of Alpaca: scoring 2,000 of them takes half an hour of a processor, all of them two hours."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One study, as a person types it."""

    name: str
    title: str
    about: str
    command: tuple[str, ...]
    """Arguments of ``workbench``; files by their names alone."""
    fetched: tuple[str, ...] = ()
    """What ``workbench fetch`` has to get first."""
    before: tuple[str, ...] = ()
    """Commands of a shell that make the files."""


QUESTIONS = (
    Question(
        name="gsm8k",
        title="Right or wrong solutions of the same problems?",
        about="Four models solved each problem of GSM8K's test set (MIT), and each solution is marked. Cells "
        "train on right or on wrong solutions of the same problems, pair by pair, and are judged on other "
        "problems by the loss on their authors' solutions.",
        command=("run", "gsm8k", "--budget", "coffee"),
        fetched=("smollm2-135m", "gsm8k"),
    ),
    Question(
        name="davinci",
        title="Answers of a strong or a weak model to the same prompts?",
        about="AlpacaEval's outputs of text-davinci-003 and text-davinci-001 (CC BY-NC 4.0): the same "
        "prompts, answers of about the same length, judged win rates 50% and 15%. Both are judged by the "
        "loss on the 252 answers that people wrote for Self-Instruct (Apache-2.0); what asks one of those is "
        "left out of training.",
        command=(
            *("run", "text_davinci_003.json", "text_davinci_001.json"),
            *(
                "--heldout-file",
                "user_oriented_instructions.jsonl",
                "--on-shared",
                "drop",
                "--on-empty",
                "drop",
            ),
            *("--base", "smollm2-135m", "--budget", "coffee"),
        ),
        fetched=("smollm2-135m",),
    ),
    Question(
        name="alpaca",
        title="Alpaca by a score, or by chance?",
        about=f"The first {FIRST} of 9,229 records of Alpaca in random order (CC BY-NC 4.0). Each scorer "
        "keeps 30% of those to train on; chance draws as many.",
        command=(
            *("filters", "alpaca.json", "--scorer", "ifd", "loss:bottom", "--keep", "30%"),
            *("--on-empty", "drop", "--heldout", "120", "--epochs", "2", "--sizes", "18", "54", "144"),
            *("--base", "smollm2-135m"),
            *("--budget", "coffee", "--without-controls", "--without-whole"),
        ),
        fetched=("smollm2-135m",),
        before=(f"jq '.[:{FIRST}]' alpaca_random_9k.json > alpaca.json",),
    ),
)
FILES = {
    "text_davinci_003.json": "alpacaeval805_text_davinci_003.json",
    "text_davinci_001.json": "alpacaeval805_text_davinci_001.json",
    "user_oriented_instructions.jsonl": "self_instruct_user_oriented_252.jsonl",
}
"""Names that the commands use, with those in the folder of the data."""


def trained(question: Question, data: Path, runs: Path) -> Results:
    """Run what is missing of a study, in a process of its own, and return its results."""
    folder = runs / question.name
    alpaca = runs / "alpaca.json"
    alpaca.write_text(json.dumps(json.loads((data / "alpaca_random_9k.json").read_text())[:FIRST]))
    files = {name: data / own for name, own in FILES.items()} | {alpaca.name: alpaca}
    arguments = [str(files.get(one, one)) for one in question.command]
    subprocess.run([sys.executable, "-m", "workbench", *arguments, "--out", str(folder)], check=True)
    return open_study(folder)


def told(question: Question, results: Results) -> Iterator[str]:
    """Yield a study's part of the page."""
    yield from (f"## {question.title}", "", question.about, "", "```console")
    yield from (*question.before, *(f"workbench fetch {name}" for name in question.fetched))
    yield from (f"workbench {shlex.join(question.command)}", "```", "")
    answers = results.answers()
    for metric in answers.studies:
        yield from (f"**{metric.replace('_', ' ')}**: {results.exchange_rate(metric).sentence()}", "")
    yield from means(results)
    manifest = results.manifest
    if manifest.filtering.filters:
        compared = results.filters()
        yield from (
            "",
            f"| {' | '.join(compared.headings)} |",
            f"| {' | '.join('---' for _ in compared.headings)} |",
        )
        yield from (f"| {' | '.join(row)} |" for row in compared.rows)
        yield from ("", *(f"{sentence}\n" for sentence in compared.sentences))
    yield from ("", *(f"- {note}" for note in manifest.data.notes))
    seconds = sum(row["seconds"] or 0 for row in results.table().rows)
    yield from (f"- {len(results.table().rows) - 1} cells, {seconds / 60:.0f} minutes of training", "")


def means(results: Results) -> Iterator[str]:
    """Yield a table of the mean loss of each quality at each size, over the seeds."""
    rows = [row for row in results.table().rows if row[LOSS] is not None]
    sizes = sorted({row["size"] for row in rows if row["size"]})
    yield f"| held-out loss, nats a token | {' | '.join(f'{size:,} examples' for size in sizes)} |"
    yield "| --- |" + " ---: |" * len(sizes)
    for quality in dict.fromkeys(row["quality"] for row in rows if row["size"]):
        cells = [
            [row[LOSS] for row in rows if (row["quality"], row["size"]) == (quality, size)] for size in sizes
        ]
        shown = [f"{statistics.mean(cell):.3f}" if cell else "" for cell in cells]
        yield f"| {quality} | {' | '.join(shown)} |"
    base = next(row[LOSS] for row in rows if row["size"] == 0)
    yield from ("", f"Without training the loss is {base:.3f}.")


def page(parts: Sequence[tuple[Question, Results]]) -> str:
    """Return the page."""
    lines = [
        "# Questions about data that exist",
        "",
        "Each study takes up to half an hour on SmolLM2-135M on two quiet cores (`coffee`, three seeds); the",
        "minutes below are those of a busy machine. What came out stands here as it came, also where quality",
        "didn't win; the sentences are those of the studies' reports.",
        "Made by `python benchmarks/natural.py --data FOLDER --runs FOLDER --output docs/natural.md`. The",
        "workbench may not carry most of the files; the commands call them as their authors did.",
        "",
    ]
    for question, results in parts:
        lines += told(question, results)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Run the studies and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    names = [question.name for question in QUESTIONS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="some of the questions")
    arguments = parser.parse_args()
    asked = [question for question in QUESTIONS if question.name in arguments.only]
    parts = [(question, trained(question, arguments.data, arguments.runs)) for question in asked]
    write_atomically(arguments.output, page(parts).encode())


if __name__ == "__main__":
    main()
