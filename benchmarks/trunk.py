"""One trunk for many sizes, against a run for each: `python benchmarks/trunk.py [FILE.json]` (minutes).

The same grid of `verbs` in one pass over the examples, twice: every cell by itself under a cosine, and the
sizes of each (quality, seed) on a trunk of constant rate from which each branches off to cool down. The
question is whether the law changes: the exchange rates of both, with their intervals.
"""

import json
import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from workbench.studies.grid import STUDIES
from workbench.studies.runner import run
from workbench.views.answers import analysed, item_outcomes, rates_of

SIZES = (128, 256, 512, 1024, 2048)
ONE_PASS = {"steps": None, "epochs": 1.0, "batch_size": 8}
WAYS = {
    "a run for each size": {**ONE_PASS, "schedule": "cosine"},
    "one trunk": {**ONE_PASS, "schedule": "trunk", "warmup_steps": 4},
}


def main():
    verbs = replace(STUDIES["verbs"]("coffee"), sizes=SIZES, seeds=(0, 1, 2, 3))
    record = {}
    for name, settings in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            with run(replace(verbs, settings=settings), Path(folder) / "study") as store:
                seconds = time.perf_counter() - started
                rows = store.table()
                study = analysed(rows, "loss", name, None, item_outcomes(store, rows).get("loss"))
        losses = {
            label: dict(zip(map(int, curve.size), curve.mean[0], strict=True))
            for label, curve in study.curves.items()
        }
        rates = {}
        for rate in rates_of(study):
            best = rate.rates
            by_size = zip(best.size, best.median, best.low, best.high, strict=True)
            rates[rate.other] = {
                int(size): [None if math.isinf(value) else value for value in values]
                for size, *values in by_size
            }
        record[name] = {"seconds": seconds, "losses": losses, "rates": rates, "misfit": study.misfit}
        print(f"{name}: {seconds:.0f} s\n{json.dumps(record[name], indent=1)}", flush=True)
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
