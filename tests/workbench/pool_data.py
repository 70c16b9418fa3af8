"""Random data sets for the tests of pools: two files with columns, copies and questions asked twice."""

from hypothesis import strategies as st

from workbench.data.records import Dataset, Record


def record(number, kind="a", source="left", prompt=None, response=None, score=None, **extra):
    """Return a record of one of two files, with the columns that pools read."""
    score = number / 100 if score is None else score
    return Record(
        id=f"{source}/{number}",
        prompt=prompt or f"question {number}",
        response=response or f"{kind} {number}",
        source=source,
        extra={"kind": kind, "score": score, "tokens": number % 7, **extra},
        place=f"{source}.jsonl, line {number + 1}",
    )


def dataset(*records, heldout=()):
    """Return a data set of these records."""
    return Dataset(
        name="mine", train=records, heldout=heldout, template="plain", licence="test", origin="test"
    )


@st.composite
def datasets(draw, always=()):
    """Draw a data set of ``always`` and some more, of which some are alike or ask the same."""
    some = draw(
        st.lists(
            st.tuples(
                st.sampled_from("ab"),
                st.sampled_from(["left", "right"]),
                st.integers(0, 12),
                st.integers(0, 3),
                st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
                st.sampled_from([{}, {"seen": True}, {"seen": False}, {"colour": "red"}]),
            ),
            min_size=1,
            max_size=40,
        )
    )
    return dataset(
        *always,
        *(
            record(n, kind, source, f"q{asked}", f"r{said}", score, tokens=said + 1, **more)
            for n, (kind, source, asked, said, score, more) in enumerate(some, len(always))
        ),
    )
