"""``workbench doctor`` ends with whether a class can begin, and with what to do if it can't."""

from workbench.cli import doctor, main
from workbench.errors import how_to_install


def said(monkeypatch, capsys, *, lab: bool, fetched: bool) -> str:
    versions = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: "missing" if name == "jupyterlab" and not lab else versions(name)
    )
    state = "in the cache" if fetched else "not fetched"
    monkeypatch.setattr(doctor, "_fetched", lambda: iter([("raters", f"{state}, texts")]))
    monkeypatch.setattr(doctor, "COMFORTABLE_BYTES", 0)
    assert main(["doctor"]) == 0
    return capsys.readouterr().out


def test_it_ends_in_ready(monkeypatch, capsys):
    text = said(monkeypatch, capsys, lab=True, fetched=True)
    assert text.splitlines()[-1].startswith("Ready: `workbench lab` opens the notebooks")
    assert "What would help" not in text
    assert "Missing" not in text


def test_what_is_not_needed_does_not_hold_up_a_class(monkeypatch, capsys):
    text = said(monkeypatch, capsys, lab=True, fetched=False)
    assert "- `workbench fetch raters` once" in text
    assert text.splitlines()[-1].startswith("Ready: ")


def test_without_jupyterlab_it_says_what_to_do(monkeypatch, capsys):
    text = said(monkeypatch, capsys, lab=False, fetched=True)
    *_, what, empty, last = text.splitlines()
    assert what == f"- There is no JupyterLab for the notebooks: {how_to_install('lab')}"
    assert (empty, last[:9]) == ("", "Not ready")
