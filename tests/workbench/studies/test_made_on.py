"""Cells say on which device they were made, and those of two devices never share a table without a word."""

import re
from types import SimpleNamespace

import pytest
import torch
from follows import follows
from small_study import small_study

from workbench import devices
from workbench.cli import doctor, main
from workbench.devices import Device
from workbench.errors import InputError
from workbench.models import precision as precisions
from workbench.studies import arithmetic, made_on, runner
from workbench.studies import plan as planning
from workbench.studies import replay as replaying
from workbench.studies.disk.store import Store
from workbench.studies.replay import replay
from workbench.studies.runner import run
from workbench.studies.sharing.card import card
from workbench.views.report import write_report

CARD = "Paper 4"


@pytest.fixture
def on_card(monkeypatch):
    """Let the processor be called a card."""

    def there(name: str = "auto") -> Device:
        return Device(torch.device("cpu"), CARD, 2**33, "made up")

    for module in (planning, runner, replaying):
        monkeypatch.setattr(module, "choose_device", there)
    monkeypatch.setattr(arithmetic, "card_of", lambda device: CARD)


def few(**changes):
    return small_study(sizes=(8,), seeds=(0,), **changes)


def grown():
    return small_study(sizes=(8,), seeds=(0, 1))


def test_a_record_names_the_card(on_card, tmp_path):
    with run(few(), tmp_path / "study") as store:
        assert store.manifest.hardware.card == CARD
        assert store.manifest.hardware.card_bytes == 2**33
        assert store.manifest.arithmetic.device == CARD
        assert [session.card for session in store.manifest.sessions] == [CARD]
        assert {made["device"] for made in store.made().values()} == {CARD}
        assert f"cores, and {CARD}" in card(store)


def test_a_processor_is_no_card(tmp_path):
    with run(few(), tmp_path / "study") as store:
        assert store.manifest.hardware.card is None
        assert store.manifest.sessions[-1].card is None
        assert {made["device"] for made in store.made().values()} == {"cpu"}
        assert made_on.made_on(store) == {"cpu": 2}
        assert not any("devices" in note for note in store.manifest.data.notes)
        assert ", and " not in card(store).partition("## Cost")[2].partition("## Made of")[0]


def test_going_on_elsewhere_is_told_before_training_kept_and_reported(tmp_path, monkeypatch, request):
    run(few(), tmp_path / "study").close()
    request.getfixturevalue("on_card")
    told = []
    with run(grown(), tmp_path / "study", told.append) as store:
        notes = store.manifest.data.notes
        assert made_on.made_on(store) == {"cpu": 2, CARD: 2}
    sentence = next(note for note in notes if "different devices" in note)
    assert f"(2 on {CARD}, 2 on cpu)" in sentence
    phases = [at.note or at.phase for at in told]
    assert phases.index(sentence) < phases.index("training")
    page = write_report(tmp_path / "study").page.read_text(encoding="utf-8")
    assert sentence in re.sub(r"\s+", " ", page)
    # what was said stays said, whoever goes on
    monkeypatch.undo()
    wider = small_study(sizes=(8,), seeds=(0, 1, 2))
    with run(wider, tmp_path / "study") as store:
        assert any(f"(2 on {CARD}, 4 on cpu)" in note for note in store.manifest.data.notes)


def test_going_on_where_it_was_begun_is_not_worth_a_word(tmp_path):
    run(few(), tmp_path / "study").close()
    with run(grown(), tmp_path / "study") as store:
        assert not any("devices" in note for note in store.manifest.data.notes)


def test_a_study_of_an_earlier_version_was_made_on_the_processor(tmp_path):
    run(few(), tmp_path / "study").close()
    with Store.open(tmp_path / "study") as store:
        old = {name: value for name, value in store.manifest.arithmetic.written.items() if name != "device"}
        store.update_manifest(arithmetic=old)
        store._database.execute("UPDATE cell SET made = json_remove(made, '$.device')")
        assert made_on.made_on(store) == {"cpu": 2}


def test_an_earlier_run_on_another_device_teaches_nothing_about_time(tmp_path, request):
    run(few(), tmp_path / "one").close()
    request.getfixturevalue("on_card")
    with run(few(), tmp_path / "two") as store:
        assert store.manifest.prediction.learned_from == 0


def test_a_replay_elsewhere_says_that_bits_may_differ(tmp_path, request, capsys):
    run(few(), tmp_path / "study", threads=1).close()
    assert main(["replay", str(tmp_path / "study")]) == 0
    assert "may differ" not in capsys.readouterr().out
    request.getfixturevalue("on_card")
    found = replay(tmp_path / "study", device="auto")
    assert (found.made_on, found.device, found.same_arithmetic) == (("cpu",), CARD, False)
    main(["replay", str(tmp_path / "study"), "--device", "auto"])
    assert f"Made on cpu, again on {CARD}: there bits may differ." in capsys.readouterr().out


@follows("in which {device.card or 'a processor'} can't")
@pytest.mark.parametrize(
    ("precision", "device", "card", "way"),
    [("float16", "cpu", None, "cuda"), ("int8", "cuda", CARD, "cpu")],
)
def test_a_precision_that_the_new_device_lacks_is_refused_with_the_way_out(
    tmp_path, precision, device, card, way, monkeypatch
):
    made = Device(torch.device(device), card, None, "made up")
    monkeypatch.setattr(precisions, "has_bfloat16", lambda device: True)
    with pytest.raises(InputError) as told:
        made_on.check_going_on(tmp_path / "study", precision, "elsewhere", made)
    message = str(told.value)
    assert message.startswith(f"{tmp_path / 'study'} was begun in {precision} on elsewhere, in which")
    assert f"go on with --device {way}" in message
    other = Device(torch.device(way), CARD if way == "cuda" else None, None, "made up")
    made_on.check_going_on(tmp_path / "study", precision, "elsewhere", other)
    out = tmp_path / message.rpartition("/")[2].rstrip("'")
    assert out.name == f"study-{device}"
    run(few(), out).close()


def test_a_run_refuses_such_a_folder_before_it_loads_anything(tmp_path, monkeypatch):
    run(few(), tmp_path / "study").close()
    cell = SimpleNamespace(precision="float16")
    begun = SimpleNamespace(
        cell=cell,
        manifest=SimpleNamespace(arithmetic=SimpleNamespace(device=CARD, threads=1)),
        settled=lambda study: study,
        check=lambda *given: None,
    )
    monkeypatch.setattr(runner.Begun, "read", lambda folder: begun)
    monkeypatch.setattr(runner, "plan", lambda *given: pytest.fail("it was loaded"))
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    with pytest.raises(InputError, match=f"begun in float16 on {CARD}"):
        run(few(), tmp_path / "study")


def test_the_doctor_says_where_a_study_would_train(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert doctor._where().startswith("train on the processor: ")
    assert doctor._where().endswith(str(devices.why_no_gpu()))
    # a card alone is no reason: without Triton nothing trains there
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "why_no_triton", lambda: "Triton is missing")
    assert doctor._where().startswith("train on the processor: Triton is missing; install")
    monkeypatch.setattr(devices, "why_no_triton", lambda: None)
    monkeypatch.setattr(devices, "_gpu", lambda reason: Device(torch.device("cpu"), CARD, 1, reason))
    assert doctor._where() == f"train on {CARD}: torch and Triton can use this GPU"


FEW = ("--sizes", "8", "--seeds", "0", "--steps", "2", "--heldout", "20", "--quality", "clean")


@follows("choose --device cpu, or leave --device out")
def test_a_gpu_that_is_not_there_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["run", "verbs", *FEW, "--out", str(tmp_path / "study"), "--device", "cuda"]) == 2
    said = capsys.readouterr().err
    assert "device 'cuda': " in said
    assert not (tmp_path / "study" / "manifest.json").exists()
    assert main(["run", "verbs", *FEW, "--out", str(tmp_path / "study"), "--device", "cpu"]) == 0


@follows("Triton has no compiler for Apple's GPUs")
def test_apple_s_gpu_is_refused_with_the_reason(tmp_path, capsys):
    assert main(["run", "verbs", *FEW, "--out", str(tmp_path / "study"), "--device", "mps"]) == 2
    assert "device 'mps': Triton has no compiler" in capsys.readouterr().err
