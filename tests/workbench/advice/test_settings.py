"""Advice about the settings of a run."""

import ast
import re

import pytest
from following import SMALL, between, follows, planned, small_study, told

from workbench.adapters.lora import LoraStack
from workbench.beside import start
from workbench.config import CellConfig, Quality
from workbench.models.loaders import load_base
from workbench.studies.executors import make_executor
from workbench.studies.executors.in_process import InProcess
from workbench.studies.runner import run


@follows("write 0.8 to spoil one in five")
def test_a_quality_in_percent():
    message = told(planned, "--quality", "typo:80")
    planned("--quality", f"typo:{between(message, 'write ', ' ')}")


@follows("or a quality below 1, such as", "or name a corruption, such as")
@pytest.mark.parametrize("text", ["typo:1", "none:0.8"])
def test_two_names_for_one_quality(text):
    message = told(planned, "--quality", text)
    planned("--quality", between(message, "such as "))
    planned("--quality", between(message, "write ", ","))


@follows("1 rater has to give a label")
def test_no_rater():
    assert Quality.parse(between(told(Quality.parse, "raters:0"), "label: ")).raters == 1


@follows("can't be read; expected {wanted}")
def test_a_quality_that_is_none():
    message = told(planned, "--quality", "typo")
    examples = re.findall(r"'(\S+?)'", message.partition("expected")[2])
    assert len(examples) == 3
    for example in examples:
        Quality.parse(example)


@follows("give one of these, such as say=")
@pytest.mark.parametrize("wrong", [-1, 41])
def test_so_many_prompts_are_not_asked(wrong, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("subprocess.Popen", lambda command, **options: started.append(command))
    message = told(start, small_study(), tmp_path / "study", say=wrong)
    assert not (tmp_path / "study").exists()
    start(small_study(), tmp_path / "study", say=int(between(message, "say=")))
    assert started


@follows("give exactly one of them")
def test_both_lengths():
    cell = {"data": "verbs", "base": "classroom", "size": 8}
    told(CellConfig, **cell, steps=5, epochs=1.0)
    CellConfig(**cell, steps=5, epochs=None)
    CellConfig(**cell, steps=None, epochs=1.0)


@follows("at least 1 step, or epochs above 0")
@pytest.mark.parametrize("wrong", [("--steps", "0"), ("--epochs", "0"), ("--epochs", "inf")])
def test_no_length(wrong):
    message = told(planned, *wrong)
    planned("--steps", between(message, "at least ", " step"))
    planned("--epochs", "0.5")


@follows("give --schedule trunk alone or with --epochs 1", "leave --steps out")
def test_a_trunk():
    message = told(planned, "--schedule", "trunk", "--epochs", "2")
    planned("--schedule", "trunk")
    planned("--schedule", "trunk", *between(message, "alone or with ", r" \(in").split())
    fields = ast.parse(f"dict({between(message, 'in Python ', r'[)]')})", mode="eval").body
    settings = {field.arg: ast.literal_eval(field.value) for field in fields.keywords}
    CellConfig(data="verbs", base="classroom", size=8, schedule="trunk", **settings)
    assert "leave --steps out" in told(planned, "--schedule", "trunk", "--steps", "10")


@follows("is in none of the qualities given; leave it out, or")
def test_a_corruption_beside_other_qualities():
    message = told(planned, "--corruption", "typo", "--quality", "clean")
    planned("--quality", "clean")
    planned("--corruption", "typo", "--quality", "clean", between(message, "add ", " to --quality"))


@follows("targets is empty; name at least one of")
def test_no_target():
    cell = {"data": "verbs", "base": "classroom", "size": 8}
    message = told(CellConfig, **cell, targets=())
    for name in between(message, "one of ").split(", "):
        CellConfig(**cell, targets=(name,))


NEAR = {
    "--schedule": "kosine",
    "--targets": "q_prj",
    "--template": "Verbs",
    "--base": "clasroom",
    "--quality": "typos:0.5",
    "--budget": "Coffe",
}


@follows("unknown {kind}")
@pytest.mark.parametrize("option", NEAR)
def test_a_mistyped_name(option):
    message = told(planned, option, NEAR[option])
    assert "src/" not in message, "who mistypes a name has nothing to add to the source"
    right = between(message, "Did you mean '", "'")
    assert right in between(message, "Known: ").strip(".").replace(". Or", ",").split(", ")
    planned(option, right + (":0.5" if option == "--quality" else ""))


@follows("give at least one", "give each once")
def test_an_axis():
    told(small_study, seeds=())
    small_study(seeds=(0,))
    message = told(planned, "--seeds", "0", "0")
    planned("--seeds", *dict.fromkeys(between(message, "twice: ", ";").split(", ")))


@follows("1 block has to carry adapters")
def test_no_adapted_block():
    planned(*between(told(planned, "--adapted-layers", "0"), "adapters: ").split())


@follows("choose a rank of at most")
def test_a_rank_too_large():
    message = told(planned, "--rank", "9999")
    planned("--rank", between(message, "a rank of at most ", ","))


@follows("choose one of them")
def test_a_block_that_is_not_there():
    cell = CellConfig(data="verbs", base="classroom", size=8, first_layer=99)
    decoder = load_base("classroom").decoder.config
    message = told(LoraStack, [cell], decoder)
    for layer in re.findall(r"\d+", between(message, "blocks ", ",")):
        LoraStack([cell.with_(first_layer=int(layer))], decoder)


@follows("workers is {workers}, but the executor in-process")
def test_workers_that_this_process_can_t_be():
    message = told(make_executor, "in-process", 3)
    name, workers = between(message, "--executor ").split(" --workers ")
    executor = make_executor(name, int(workers))
    assert executor.workers == 3
    executor.close()


@follows("but the executor that was given trains")
def test_workers_of_an_executor_that_was_made(tmp_path):
    message = told(run, small_study(), tmp_path / "study", executor=InProcess(), workers=2)
    assert "leave workers out" in message
    run(small_study(), tmp_path / "study", executor=InProcess()).close()


@follows("--checkpoint-every {CHECKPOINT_SECONDS}", "at least 1 is needed: --threads 1")
def test_options_of_a_run_that_can_t_be(tmp_path, refused, followed):
    command = ("run", "verbs", *SMALL, "--out", tmp_path / "study")
    for wrong in (("--checkpoint-every", "-1"), ("--threads", "0")):
        message = refused(*command, *wrong)
        followed(*command, *between(message, ": (?=--)").split())


@follows("at least 1 is needed: --workers 1")
def test_no_workers():
    message = told(make_executor, "processes", 0)
    make_executor("processes", int(between(message, "--workers "))).close()
