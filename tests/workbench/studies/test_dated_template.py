"""A template that writes the day: the day belongs to the study, not to whoever runs it next."""

import json
from dataclasses import replace
from datetime import date

import pytest
import tiny_chat

from workbench.config import Quality
from workbench.errors import InputError
from workbench.studies import plan as planning
from workbench.studies import runner
from workbench.studies.disk.manifest import read_manifest
from workbench.studies.disk.store import Store
from workbench.studies.grid import Study
from workbench.studies.replay import replay

DATED = "{{ '<|date|>' + strftime_now('%d %B %Y') + '\n' }}" + tiny_chat.ZEPHYR


class Day(date):
    """A clock that a test sets."""

    now = "2026-11-28"

    @classmethod
    def today(cls):
        return date.fromisoformat(cls.now)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "date", Day)
    monkeypatch.setattr(Day, "now", "2026-11-28")
    base = tiny_chat.make_folder(tmp_path / "base", "zephyr", "sentencepiece", chat_template=DATED)
    lines = [
        json.dumps({"prompt": prompt, "response": answer})
        for prompt, answer in zip(tiny_chat.PROMPTS, tiny_chat.ANSWERS, strict=True)
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    return Study(
        name="mine",
        data=str(tmp_path / "mine.jsonl"),
        base=str(base),
        qualities=(Quality(),),
        sizes=(4,),
        seeds=(0,),
        template="chat",
        precision="float32",
        settings={"steps": 2, "batch_size": 2, "rank": 2},
    )


def prompts(study):
    made = planning.plan(study)
    pool = made.prepared.frozen.pool
    first = pool.tokens[: int(pool.prompts[0])].tolist()
    return made.base.tokenizer.decode(first)


def test_a_study_goes_on_and_is_replayed_with_the_day_on_which_it_began(study, tmp_path, monkeypatch):
    folder = tmp_path / "study"
    runner.run(study, folder, threads=1).close()
    assert read_manifest(folder).study.date == "2026-11-28"
    monkeypatch.setattr(Day, "now", "2026-12-01")
    assert "01 December 2026" in prompts(study)
    again = replay(folder)
    assert (len(again.identical), again.different) == (2, [])
    runner.run(replace(study, sizes=(4, 8)), folder, threads=1).close()
    manifest = read_manifest(folder)
    assert manifest.study.date == "2026-11-28"
    assert "28 November 2026" in prompts(manifest.study.parsed())


def test_another_day_is_another_study(study, tmp_path):
    folder = tmp_path / "study"
    runner.run(study, folder, threads=1).close()
    with pytest.raises(InputError, match=r"date was 2026-11-28 and is 2024-02-29.*--out"):
        runner.run(replace(study, date="2024-02-29"), folder, threads=1)


def test_an_older_study_takes_the_day_on_which_it_began(study, tmp_path, monkeypatch):
    folder = tmp_path / "study"
    with runner.run(study, folder, threads=1) as store:
        undated = store.manifest.study.to_json()
        del undated["date"]
        store.update_manifest(study=undated, started="2026-11-28T12:00:00+0000")
    monkeypatch.setattr(Day, "now", "2026-12-01")
    assert replay(folder).different == []
    runner.run(replace(study, sizes=(4, 8)), folder, threads=1).close()
    assert read_manifest(folder).study.date == "2026-11-28"


def test_a_template_without_a_day_records_none(study, tmp_path):
    plain = replace(study, template="plain")
    runner.run(plain, tmp_path / "study", threads=1).close()
    assert read_manifest(tmp_path / "study").study.date is None
    with Store.open(tmp_path / "study", read_only=True) as store:
        assert len(store.rows()) == 1


def test_a_changed_chat_template_is_another_base(study, tmp_path):
    folder = tmp_path / "study"
    runner.run(study, folder, threads=1).close()
    file = tmp_path / "base" / "tokenizer_config.json"
    old = file.read_text()
    file.write_text(old.replace("<|date|>", "<|day|>"))
    with pytest.raises(InputError, match=r"how a text begins, ends.*--out"):
        runner.run(replace(study, sizes=(4, 8)), folder, threads=1)
    with pytest.raises(InputError, match="put the old files back"):
        replay(folder)
    file.write_text(old)
    assert replay(folder).different == []


def test_a_day_is_written_as_people_write_it(study):
    with pytest.raises(InputError, match=r"date is .*; write it as 2026-11-28"):
        replace(study, date="28.11.2026")
    assert replace(study, date="2026-11-28").day == date(2026, 11, 28)
