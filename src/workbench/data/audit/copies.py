"""Records that are there twice, that an evaluation set has too, or that answer one prompt in several ways."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from workbench.data.audit.faults import Fault, Sighting, Subject, beginning, fault, near_records, whole
from workbench.data.duplicates import exact_clusters
from workbench.data.heldout import hold_out
from workbench.data.records import Record
from workbench.errors import InputError

RUN = 13
"""Words in a row that two records may not share (Brown et al., "Language Models are Few-Shot Learners", 2020,
appendix C: lower case, without punctuation)."""
COMMON = 10
"""A run that more different prompts than these hold is a common phrase, and tells nothing."""
MOST_OF_IT = 0.5
"""Share of the runs of a prompt or a response that makes it the same as one of the same file."""
TAKE_OUT = "Take them out of the file; --json names all their places."


def exact_duplicates(subject: Subject) -> list[Fault]:
    """Find records that are asked and answered like an earlier one."""
    clusters = exact_clusters(subject.texts)
    copies = [_copy(subject.records, index, first) for index, first in enumerate(clusters) if first != index]
    what = "asked and answered like an earlier record"
    return fault(what, copies, len(subject.records), f"What is there twice counts twice. {TAKE_OUT}")


def near_duplicates(subject: Subject) -> list[Fault]:
    """Find records that say nearly the same as an earlier one; exact duplicates are told apart from them."""
    exact = exact_clusters(subject.texts)
    copies = [
        _copy(subject.records, index, first)
        for index, first in enumerate(subject.clusters)
        if first != index and exact[index] == index
    ]
    what = "nearly the same as an earlier record"
    return fault(what, copies, len(subject.records), f"They add little, and count as new. {TAKE_OUT}")


def disagreeing_prompts(subject: Subject) -> list[Fault]:
    """Find prompts that are answered in several ways; for closed choices these are contradictory labels."""
    answers: dict[tuple[str, tuple[str, ...]], dict[str, list[Record]]] = defaultdict(dict)
    asked = exact_clusters([record.asked for record in subject.records])
    said = exact_clusters([record.response for record in subject.records])
    for record, prompt, response in zip(subject.records, asked, said, strict=True):
        choices = tuple(sorted(record.choices))
        answers[str(prompt), choices].setdefault(str(response), []).append(record)
    labels: list[list[Sighting]] = []
    texts: list[list[Sighting]] = []
    for (_, choices), by_answer in answers.items():
        if len(by_answer) > 1:
            told = f"{beginning(next(iter(by_answer.values()))[0].prompt)} → "
            told += " | ".join(beginning(records[0].response) for records in by_answer.values())
            sightings = [
                Sighting(record.where, "prompt → responses", told)
                for records in by_answer.values()
                for record in records
            ]
            (labels if choices else texts).append(sightings)
    found = []
    for prompts, what, advice in (
        (
            labels,
            "labels that contradict each other",
            "Only one label of a prompt can be right: decide which.",
        ),
        (
            texts,
            "prompts with several answers",
            "Where they aren't meant as several good answers, keep the better one of each.",
        ),
    ):
        records = [sighting for sightings in prompts for sighting in sightings]
        counted = f"{what} ({len(prompts):,} prompt{'s' if len(prompts) != 1 else ''})"
        found += fault(counted, records, len(subject.records), f"{advice} --json names all their places.")
    return found


def contamination(subject: Subject) -> list[Fault]:
    """Find records of the evaluation file that the training file has too, whole or in part."""
    assert subject.against is not None
    clusters = near_records([*subject.against, *subject.records])
    advice = (
        "What was trained on can't judge. Take the places in the training file out of it; --json names them "
        "all."
    )
    return _shared(
        subject.against, subject.records, clusters, advice, "records of the evaluation file", own=False
    )


def no_against(subject: Subject) -> str:
    """Say that there is no evaluation file."""
    return "" if subject.against is not None else "no evaluation file; give one with --against"


def own_split(subject: Subject) -> list[Fault]:
    """Find records that would be held out of the file by default, and of which the rest has much."""
    train, heldout = hold_out(subject.records, None, "the file")
    index = {record.id: place for place, record in enumerate(subject.records)}
    order = [index[record.id] for record in (*heldout, *train)]
    clusters = [subject.clusters[place] for place in order]
    advice = (
        "The split keeps equal prompts together, but not similar ones. Take one side out of the file (--json "
        "names the places), or give records from elsewhere with --heldout-file."
    )
    return _shared(heldout, train, clusters, advice, "records that would be held out", own=True)


def no_split(subject: Subject) -> str:
    """Say why the file can't be split."""
    if not subject.records:
        return "no record that could be held out"
    try:
        hold_out(subject.records, None, "the file")
    except InputError as error:
        return str(error)
    return ""


def _shared(
    heldout: Sequence[Record],
    train: Sequence[Record],
    clusters: Sequence[int],
    advice: str,
    of: str,
    *,
    own: bool,
) -> list[Fault]:
    """Return what held-out records share with those to train on, the strongest first; each counts once.

    Args:
        heldout: The records that judge.
        train: The records that are trained on.
        clusters: Of near duplicates, the held-out records first.
        advice: What to do.
        of: What held-out records are called.
        own: Whether both are from one file: phrases in common are expected then, so that only what makes up
            most of a prompt or a response counts, and equal prompts are all on one side.
    """
    first_of: dict[int, int] = {}
    for place, cluster in enumerate(clusters[len(heldout) :]):
        first_of.setdefault(cluster, place)
    prompts: dict[int, int] = {}
    asked = exact_clusters([record.asked for record in (*heldout, *train)])
    for place, cluster in enumerate(asked[len(heldout) :]):
        prompts.setdefault(cluster, place)
    runs = _shared_runs(heldout, train, least=MOST_OF_IT if own else 0.0)
    near, same, partly = [], [], []
    for place, record in enumerate(heldout):
        if clusters[place] in first_of:
            near.append(_with(record, train[first_of[clusters[place]]], beginning(record.prompt)))
        elif not own and asked[place] in prompts:
            same.append(_with(record, train[prompts[asked[place]]], beginning(record.prompt)))
        elif place in runs:
            other, words = runs[place]
            partly.append(_with(record, train[other], words))
    return [
        *fault("the same or nearly the same as a record to train on", near, len(heldout), advice, of=of),
        *fault("asked like a record to train on, answered otherwise", same, len(heldout), advice, of=of),
        *fault(f"{RUN} words in a row of a record to train on", partly, len(heldout), advice, of=of),
    ]


def _with(record: Record, other: Record, text: str) -> Sighting:
    return Sighting(f"{record.where} and {other.where}", "shared", text)


def _shared_runs(
    heldout: Sequence[Record], train: Sequence[Record], least: float
) -> Mapping[int, tuple[int, str]]:
    """Return for held-out records a record to train on that shares a run of words, and the run.

    Args:
        heldout: The records that judge.
        train: The records that are trained on.
        least: Share of the runs of the prompt, or of the response, that has to be shared.
    """
    where: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(heldout):
        for run in {run for text in (record.prompt, record.response) for run in _runs(text)}:
            where[run].append(place)
    found: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(train):
        for run in where.keys() & set(_runs(whole(record))):
            found[run].append(place)
    telling = {
        run: places[0]
        for run, places in found.items()
        if max(len({heldout[at].prompt for at in where[run]}), len({train[at].prompt for at in places}))
        <= COMMON
    }
    shared: dict[int, tuple[int, str]] = {}
    for place in sorted({place for run in telling for place in where[run]}):
        for text in (heldout[place].prompt, heldout[place].response):
            runs = list(_runs(text))
            both = [run for run in runs if run in telling]
            if both and len(both) >= least * len(runs):
                shared[place] = (telling[both[0]], both[0])
    return shared


def _runs(text: str) -> Iterator[str]:
    words = re.findall(r"\w+", text.casefold())
    return (" ".join(words[at : at + RUN]) for at in range(len(words) - RUN + 1))


def _copy(records: Sequence[Record], index: int, first: int) -> Sighting:
    record = records[index]
    return Sighting(record.where, f"like {records[first].where}", beginning(whole(record)))
