"""A study's card: what it is, what it cost, what came out, under which licences. Markdown, one page."""

import html
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.studies.disk.manifest import DataFacts, Manifest
from workbench.studies.disk.store import Store
from workbench.training.generated import metrics_in


def card(store: Store) -> str:
    """Return the card of a study."""
    manifest = store.manifest
    data, bases = manifest.data, manifest.bases or (manifest.base,)
    names = [_plain(base.name) for base in bases]
    rows = [row for row in store.rows() if row["status"] == "done"]
    lines = [
        f"# Study {_plain(manifest.study.name)}",
        "",
        f"{len(rows)} of {len(store.rows())} cells with a result; base {', '.join(names)}, data "
        f"{_plain(data.name)} ({_plain(data.train_records)} records to train on, "
        f"{_plain(data.heldout_records)} held out{_sets(data)}).",
        "",
        *_result(rows),
        "",
        "## Cost",
        "",
        *(f"- {line}" for line in _cost(manifest, rows)),
        "",
        "## Made of",
        "",
        f"- data: sha256 {_plain(data.sha256)}, licence: {_plain(data.licence)}, from {_plain(data.origin)}",
        *(
            f"- base{f' {_plain(base.name)}' * (len(bases) > 1)}: sha256 {_plain(base.sha256)}, licence: "
            f"{_plain(base.licence)}"
            for base in bases
        ),
        f"- code: sha256 {_plain(manifest.code_sha256)}, torch "
        f"{_plain(manifest.versions.get('torch'))}, started {_plain(manifest.started)}",
        "",
        "The adapters were trained on this data and this base: both licences bind whoever passes them on.",
        "`workbench replay` makes the numbers again. PEFT opens each folder in `adapters` on a base that is "
        'loaded already: `PeftModel.from_pretrained(base, "adapters/KEY")`. Where the base lies in the '
        "folder that `adapter_config.json` names, PEFT can load it as well: "
        '`AutoPeftModelForCausalLM.from_pretrained("adapters/KEY")`, and for a GGUF also '
        '`gguf_file="FILE.gguf"`.',
        "",
    ]
    return "\n".join(lines)


def _result(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of means over the seeds."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    measured = [name for name in metrics_in(columns) if any(row.get(name) is not None for row in rows)]
    several = any("vary" in row for row in rows)
    lines = [
        f"|{' variant |' * several} quality | size | seeds | {' | '.join(measured)} |",
        "| --- " * (3 + several + len(measured)) + "|",
    ]
    groups: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row.get("vary", ""), row["quality"], row["size"]), []).append(row)
    for (variant, quality, size), group in groups.items():
        means = (_mean([row[name] for row in group if row.get(name) is not None]) for name in measured)
        told = f" {_plain(variant)} |" if several else ""
        lines.append(f"|{told} {_plain(quality)} | {size} | {len(group)} | {' | '.join(means)} |")
    return lines


def _sets(data: DataFacts) -> str:
    return "".join(f", {_plain(one.records)} in the set {_plain(name)}" for name, one in data.evals.items())


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.4f}" if values else "missing"


def _cost(manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    seconds = sum(row["seconds"] or 0.0 for row in rows)
    lines = [f"{seconds:.0f} s of training and evaluation"]
    flops = [row["flops"] for row in rows if row.get("flops") is not None]
    if flops:
        lines.append(f"{sum(flops):.3g} floating-point operations")
    joules = [session.actual.joules for session in manifest.sessions if session.actual]
    known = [value for value in joules if value is not None]
    lines.append(f"{sum(known):.0f} J" if known else "energy: this machine has no meter that may be read")
    hardware = manifest.hardware
    gpu = f", and {_plain(hardware.card)}" if hardware.card else ""
    lines.append(f"on {_plain(hardware.processor)}, {_plain(hardware.cores)} cores{gpu}")
    return lines


def _plain(value: Any) -> str:  # noqa: ANN401 - whatever a manifest says
    """Return text that neither Markdown nor a browser takes for anything else, in one line."""
    if value is None:
        return "not stated"
    text = html.escape(re.sub(r"\s+", " ", str(value)))[:300]
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", text)
