"""The manifest: typed, whole in both directions, and refused where a fact isn't what it has to be."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import small_study

import workbench
from workbench.errors import InputError
from workbench.studies import runner
from workbench.studies.disk.manifest import MANIFEST, Manifest, parse_manifest, read_manifest
from workbench.studies.disk.store import Store
from workbench.studies.grid import Study

OLD = Path(__file__).parents[1] / "old"
SHIPPED = Path(workbench.__file__).parent / "lessons" / "shipped"
COMMITTED = sorted((*OLD.glob(f"*/{MANIFEST}"), *SHIPPED.glob(f"*/{MANIFEST}")))
WHOLE = json.loads((OLD / "two-settings" / MANIFEST).read_bytes())

FLAT = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
JSON = st.recursive(FLAT, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The manifest's file of a study that was just run."""
    folder = tmp_path_factory.mktemp("fresh") / "study"
    few = {"steps": 2, "batch_size": 4, "rank": 2}
    runner.run(small_study(seeds=(0,), sizes=(8,), settings=few), folder).close()
    return folder / MANIFEST


def test_there_are_old_manifests():
    assert {path.parent.name for path in COMMITTED} >= {"format-1", "two-settings", "verbs"}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_an_old_manifest_is_written_as_it_was_read(path):
    assert read_manifest(path.parent).to_bytes() == path.read_bytes()


def test_a_fresh_manifest_is_written_as_it_was_read(fresh):
    assert read_manifest(fresh.parent).to_bytes() == fresh.read_bytes()


def leaves(values, path=()):
    """Yield the path of every value that isn't an object or a list, and of every empty one."""
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for name, value in items:
        if isinstance(value, dict | list) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def at(found, path):
    for name in path:
        found = found[name] if isinstance(name, int) or isinstance(found, dict) else getattr(found, name)
    return found


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_every_fact_that_has_a_type_says_what_the_file_says(path):
    manifest, seen = read_manifest(path.parent), 0
    for place, value in leaves(json.loads(path.read_bytes())):
        try:
            found = at(manifest, place)
        except (AttributeError, TypeError, KeyError):
            continue  # a fact that only the file has
        assert found == value, place
        seen += 1
    assert seen > 20


def test_a_fresh_manifest_has_a_type_for_what_is_read(fresh):
    manifest = read_manifest(fresh.parent)
    (session,) = manifest.sessions
    assert (session.outcome, manifest.outcome) == ("finished", "finished")
    assert session.actual == manifest.actual
    assert manifest.actual.seconds > 0
    assert manifest.prediction.raw_seconds > 0
    assert manifest.data.heldout_records == 20
    assert manifest.arithmetic.threads == session.threads
    assert list(manifest.subsets) == list(manifest.planned())
    assert manifest.study.cells == len(manifest.subsets) == 2
    # the usual way to hold a base isn't written, so that earlier versions read it
    assert manifest.study.parsed().to_dict() == {**manifest.study.written, "hold": "decoded"}


def test_what_an_old_study_didn_t_record_is_missing():
    manifest = read_manifest(OLD / "format-1")
    assert manifest.format == 1
    assert manifest.base.layers is manifest.arithmetic.name is manifest.code_sha256 is None
    assert manifest.data.heldout_sha256 is manifest.data.heldout_answers is manifest.study.date is None
    assert manifest.prediction.raw_seconds is manifest.actual.joules is None
    assert (manifest.sessions, dict(manifest.subsets), manifest.data.notes) == ((), {}, ())
    assert manifest.day == "2026-11-22", "the day on which it began"
    assert manifest.study.parsed().precision == "float32", "what versions knew that recorded none"
    bare = Manifest.of({"format": 2})
    assert bare.started is bare.outcome is bare.day is bare.study.name is bare.actual.seconds is None
    assert (bare.study.cells, bare.to_json()) == (0, {"format": 2})


def test_a_session_that_was_killed_has_no_costs():
    sessions = [{"started": "2026-11-28T10:00:00+0000", "outcome": "running"}]
    (session,) = Manifest.of({"format": 2, "sessions": sessions}).sessions
    assert (session.actual, session.ended, session.outcome) == (None, None, "running")


@pytest.mark.parametrize("part", ["study", "data", "base"])
def test_cells_need_what_names_them(part):
    manifest = Manifest.of(
        {name: value for name, value in WHOLE.items() if name != part}, "here/manifest.json"
    )
    with pytest.raises(InputError, match=rf"here/manifest\.json is damaged: it has no '{part}.*backup"):
        manifest.planned()


def replaced(values, path, value):
    """Return a copy of JSON values in which one is another."""
    if not path:
        return value
    copy = dict(values) if isinstance(values, dict) else list(values)
    copy[path[0]] = replaced(values[path[0]], path[1:], value)
    return copy


WRONG = {
    "study": ("study", 3, "study is no object"),
    "name": ("study.name", 3, "study.name is 3, expected a text"),
    "sizes": ("study.sizes", {"a": 1}, "study.sizes is no list"),
    "size": ("study.sizes.1", "8", r"study.sizes\[1\] is '8', expected a whole number"),
    "hash": ("data.sha256", ["x"], r"data.sha256 is \['x'\], expected a text"),
    "records": ("data.train_records", True, "data.train_records is True, expected a whole number"),
    "layers": ("base.layers", 4.5, "base.layers is 4.5, expected a whole number"),
    "threads": ("arithmetic.threads", "1", "arithmetic.threads is '1', expected a whole number"),
    "seconds": (
        "sessions.0.actual.seconds",
        "1",
        r"sessions\[0\].actual.seconds is '1', expected a finite n",
    ),
    "huge": ("sessions.0.actual.seconds", 10**400, r"sessions\[0\].actual.seconds is 10{59} …, expected a f"),
    "session": ("sessions.1", None, r"sessions\[1\] is no object"),
    "outcome": ("outcome", "over", "outcome is 'over', expected one of finished, stopped, "),
    "subset": ("subsets.2c015bd9d55b424c", 1, "subsets.2c015bd9d55b424c is 1, expected a text"),
    "long": ("started", ["x" * 99], r"started is \['x{58} …, expected a text"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_fact_of_another_type_is_refused_with_its_file_and_its_path(tmp_path, name):
    place, value, message = WRONG[name]
    path = [int(part) if part.isdigit() else part for part in place.split(".")]
    (tmp_path / MANIFEST).write_text(json.dumps(replaced(WHOLE, path, value)))
    with pytest.raises(InputError, match=rf"^{tmp_path}/manifest.json is damaged: {message}") as refusal:
        read_manifest(tmp_path)
    assert str(refusal.value).endswith(
        "; copy it back from a backup, or move the study's folder away and run it again"
    )


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_could_not_be_written_again_are_refused(number):
    with pytest.raises(InputError, match=r"is damaged: it is not JSON \(.* is no finite number\)"):
        parse_manifest(f'{{"format": 2, "new": {number}}}'.encode(), MANIFEST)


@given(st.dictionaries(st.text(), JSON))
@settings(max_examples=50, deadline=None)
def test_what_a_newer_version_adds_is_kept(new):
    known = {name: value for name, value in new.items() if name not in WHOLE}
    values = {
        **WHOLE,
        **known,
        "data": {**WHOLE["data"], **{f"new {name}": one for name, one in new.items()}},
    }
    manifest = Manifest.of(values)
    assert manifest.to_json() == values
    again = manifest.with_(outcome="stopped")
    assert again.to_json() == {**values, "outcome": "stopped"}
    assert parse_manifest(again.to_bytes(), MANIFEST) == again
    assert manifest.outcome == "finished", "the first one stays as it is"


@given(st.sampled_from([path for path, _ in leaves(WHOLE)]), JSON)
@settings(max_examples=200, deadline=None)
def test_whatever_a_fact_is_it_is_read_as_it_is_or_refused(path, value):
    values = replaced(WHOLE, path, value)
    try:
        manifest = Manifest.of(values)
    except InputError:
        return
    assert manifest.to_json() == values


def test_a_whole_number_is_a_number_too():
    manifest = Manifest.of(replaced(WHOLE, ["sessions", 0, "actual", "seconds"], 7))
    seconds = manifest.sessions[0].actual.seconds
    assert (seconds, type(seconds)) == (7.0, float)
    assert manifest.to_json()["sessions"][0]["actual"]["seconds"] == 7


def test_a_manifest_can_t_be_changed():
    values = json.loads(json.dumps(WHOLE))
    manifest = Manifest.of(values)
    with pytest.raises(FrozenInstanceError):
        manifest.outcome = "stopped"
    with pytest.raises(TypeError):
        manifest.subsets["a"] = "b"
    values["data"]["sha256"] = manifest.to_json()["base"]["name"] = "changed"
    assert manifest.data.sha256 == WHOLE["data"]["sha256"]
    assert manifest.to_json() == WHOLE


def test_a_store_refuses_what_is_no_manifest_and_stays_as_it_was(tmp_path):
    with Store.create(tmp_path / "study", {"study": {"name": "a"}}) as store:
        before = (tmp_path / "study" / MANIFEST).read_bytes()
        with pytest.raises(InputError, match=r"study/manifest.json is damaged: outcome is 'over'"):
            store.update_manifest(outcome="over")
        assert store.manifest.outcome is None
    assert (tmp_path / "study" / MANIFEST).read_bytes() == before
    with pytest.raises(InputError, match=r"data\.sha256 is 3"):
        Store.create(tmp_path / "other", {"data": {"sha256": 3}})
    assert not (tmp_path / "other").exists()


def test_an_outcome_may_say_why():
    manifest = Manifest.of({"format": 2, "outcome": "refused: the disk is full; free some space"})
    assert manifest.outcome == "refused"
    assert manifest.written["outcome"].endswith("free some space")


def test_a_study_of_an_older_format_goes_on_and_learns_what_it_lacked(tmp_path):
    """What was recorded stays where it was in the file, and as it was; what is new comes behind."""
    few = {"steps": 2, "batch_size": 4, "rank": 2}
    study = small_study(seeds=(0,), sizes=(8,), settings=few)
    runner.run(study, tmp_path / "study").close()
    path = tmp_path / "study" / MANIFEST
    old = json.loads(path.read_bytes())
    for name in ("subsets", "code_sha256", "hardware"):
        del old[name]
    path.write_text(json.dumps(old | {"mine": 1}))
    runner.run(study, tmp_path / "study").close()
    new = json.loads(path.read_bytes())
    assert {name: new[name] for name in old} == old
    assert list(new) == [*old, "mine", "subsets", "code_sha256", "hardware"]


def test_the_study_s_grid_is_read_once_and_for_all():
    assert Study.from_dict({**WHOLE["study"], "hold": "decoded"}) == Manifest.of(WHOLE).study.parsed()
