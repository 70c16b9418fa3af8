"""What a person types who comes in by the front door; checked by ``mypy --strict``, never run."""

from pathlib import Path

import torch

import workbench as wb


def describe() -> wb.Study:
    half = wb.Quality(corruption="other_form", share=0.5)
    return wb.study(
        "verbs", budget="coffee", qualities=[wb.Quality(), half], sizes=(32, 128), rank=4, steps=40
    )


def train(folder: Path) -> wb.Results:
    job = wb.start(describe(), folder)
    view = wb.watch(job)
    print(job.state().name, view.recorded, job.wait(60.0).active)
    return wb.run(describe(), folder, workers=1)


def answer(results: wb.Results) -> str:
    rows: list[dict[str, object]] = results.table().rows
    for quality, curve in results.analysis("loss").curves.items():
        print(quality, curve.size.tolist(), len(rows))
    results.figure("loss", qualities=["clean"]).savefig("figure.pdf")
    print(results.report().page.name, results.study.base, results.folder / "report")
    rate = results.exchange_rate("exact_match", reference="clean", other="50% other_form")
    return rate.sentence(128)


def next_hour(results: wb.Results) -> str:
    prices = wb.Prices(have=("50% other_form", 2000), budget=100, new={"clean": 0.5}, clean=0.4, score=0.001)
    advice = results.plan(reference="clean", size=128, minutes=30, prices=prices)
    print([cell.size for cell in advice.cells], [one.gain for one in advice.purchases], advice.to_json())
    return advice.batch


def look(folder: str) -> None:
    wb.widgets.GridMap(wb.open_study(folder).folder)
    wb.widgets.Exchange([wb.shipped_study().analysis()])
    print(wb.lessons.check("packed", abs, seconds=1), wb.lessons.score().correct)


def materials(folder: Path) -> float:
    base = wb.load_base("classroom")
    data = wb.load_dataset("mine.jsonl", heldout=50)
    adapter = wb.load_adapter(folder / "adapters" / "042b0b35b6ec49a0")
    wb.save_adapter(adapter, folder / "adapter.gguf", base=base)
    made = wb.export_model(base, folder / "model.gguf", "q8_0", adapter=adapter)
    with wb.chat(base, [adapter, "other:0.5"], temperature=1) as talk:
        talk.weigh(1, 0)
        print(made.written.kl, talk.say("past walk=").tokens)
    packed = wb.quantize(torch.randn(64, 128), "nf4")
    change: torch.Tensor = adapter.change(adapter.layers[0])
    print(base.parameters, base.formats, len(data.train), change.shape, packed.dequantize().shape)
    return packed.bits_per_weight


def own_files(file: Path) -> list[float]:
    found = wb.audit_file(file, against="eval.jsonl", only=["empty"])
    print(found.audit.looked, found.page("audit.html").name, found["records"])
    scores = wb.score_file(file, ["length", "ifd"], base="classroom", out="scored.jsonl")
    print(scores.summary().rows, scores.notes)
    return [column.known[0] for column in scores.columns]


def made_elsewhere(file: Path) -> str:
    table = wb.read_table(file, columns={"size": "tokens", "loss": "val_loss"})
    print(wb.fit_table(table, "loss", "power").values["beta"], wb.analyse(table, "loss").misfit)
    try:
        return wb.exchange_rate(table, "loss", reference="clean", other="web").sentence()
    except wb.InputError as error:
        return str(error)
