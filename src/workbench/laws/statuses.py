"""What became of a run: our own three words, and those of the trackers and schedulers that people use.

A run that is still going has a last value that is no result, so it is never read as done; a word that could
mean either is refused.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import InputError

STATUSES = ("done", "failed", "censored")
"""What a row of a table can be."""
UNFINISHED = "not finished"
"""What a row can be besides, in a file of a tracker: it is counted and left out."""
WORDS = {
    "done": "done finished complete completed success successful succeeded terminated published",
    "failed": (
        "failed fail failure crashed crash error errored killed canceled cancelled aborted interrupted "
        "stopped pruned timeout timed_out out_of_memory node_fail"
    ),
    "censored": "censored",
    UNFINISHED: (
        "running in_progress inprogress active started starting initializing preparing provisioning created "
        "pending scheduled queued submitted waiting not_started notstarted paused suspended resuming "
        "preempting preempted retrying stopping finalizing completing"
    ),
}
"""Words of Weights & Biases, MLflow, Ray Tune (whose "terminated" is done), Optuna, Slurm, SageMaker,
Azure ML, Kubernetes and ClearML, by what they mean here."""
MEANING = {word: status for status, words in WORDS.items() for word in words.split()}
ENDED, ONGOING = ("inactive", "idle"), ("active", "running")
"""Neptune's words for a run that logs no more and one that still does; the first says nothing of its end."""
UNKNOWN_STATE, UNKNOWN_END = "state not exported", "failure not exported"
MEANING |= {
    _of_neptune: _meant
    for _states, _ends, _meant in (
        ((*ENDED, UNKNOWN_STATE), ("not failed", UNKNOWN_END), "done"),
        ((*ENDED, *ONGOING, UNKNOWN_STATE), ("failed",), "failed"),
        (ONGOING, ("not failed", UNKNOWN_END), UNFINISHED),
    )
    for _of_neptune in (f"{state}, {end}".replace(" ", "_") for state in _states for end in _ends)
}
"""A run that Neptune still hears of and that isn't marked as failed is not finished."""
COLUMNS = ("state", "status")
"""A column of such a name, in any case, is taken for the status where its words are."""


def status_in(value: object, where: str) -> str:
    """Return what a word means: one of ``STATUSES`` or ``UNFINISHED``; an empty field is done.

    Raises:
        InputError: If the word isn't known.
    """
    word = _plain(value)
    if not word:
        return "done"
    if word not in MEANING:
        raise InputError(
            f"{where}: status is {value!r}; expected one of {', '.join(STATUSES)}, or a tracker's word such "
            "as finished, crashed or running. Write one of them there, or leave the row out."
        )
    return MEANING[word]


def status_column(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the column that holds the status under another name, such as "State"; None if there is none.

    A table that has a column ``status`` needs none, and a column of other words, such as regions, is none.
    """
    if "status" in rows[0]:
        return None
    return next(
        (
            name
            for name in rows[0]
            if name.strip().lower() in COLUMNS and any(_plain(row[name]) in MEANING for row in rows)
        ),
        None,
    )


def neptune_columns(rows: Sequence[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """Return Neptune's columns that say whether a run still logs and whether it failed; None if missing.

    A plain "State" is Neptune's where its words are.
    """
    known = {name.strip().lower().partition(":")[0].replace(".", "/"): name for name in rows[0]}
    state, failed = known.get("sys/state"), known.get("sys/failed")
    if state is None and failed is None and (plain := known.get("state")) is not None:
        words = {_plain(row[plain]) for row in rows} - {""}
        if words <= {*ENDED, *ONGOING} and words & set(ENDED):
            return plain, known.get("failed")
    return state, failed


def neptune_word(row: Mapping[str, Any], state: str | None, failed: str | None) -> str:
    """Say in one phrase what Neptune's two columns say of a run."""
    marks = {"": UNKNOWN_END, "true": "failed", "1": "failed", "false": "not failed", "0": "not failed"}
    mark = "" if failed is None else _plain(row[failed])
    ongoing = "" if state is None else _plain(row[state])
    return f"{ongoing or UNKNOWN_STATE}, {marks.get(mark, mark)}"


def neptune_doubt(words: Sequence[object]) -> str | None:
    """Say what Neptune leaves open where one of its two columns is missing; None otherwise."""
    plain = [str(word) for word in words]
    if running := sum(word.startswith(UNKNOWN_STATE) and not word.endswith(", failed") for word in plain):
        return (
            f"sys/failed alone doesn't tell runs that ended from those that still run: {running} may be "
            "either and are read as done. Export sys/state as well."
        )
    if open_end := sum(word.endswith(UNKNOWN_END) and word.split(",")[0] in ENDED for word in plain):
        return (
            f"sys/state alone doesn't tell runs that ended well from those that failed: {open_end} may be "
            "either and are read as done. Export sys/failed as well."
        )
    return None


def how_read(words: Sequence[object]) -> str | None:
    """Say how the words of a file were read, with counts; None where all of them are our own."""
    said = Counter("" if word is None else str(word).strip() for word in words)
    if all(word in ("", *STATUSES) for word in said):
        return None
    meant: dict[str, list[str]] = {}
    for word, count in said.items():
        meant.setdefault(status_in(word, ""), []).append(f"{count} {word!r}" if word else f"{count} empty")
    parts = [
        f"{', '.join(meant[status])} as {status}{' and left out' if status == UNFINISHED else ''}"
        for status in WORDS
        if status in meant
    ]
    return f"The status of {len(words)} rows was read so: {'; '.join(parts)}."


def _plain(value: object) -> str:
    """Return a word in lower case, its parts joined by underscores."""
    return "" if value is None else "_".join(str(value).strip().lower().replace("-", " ").split())
