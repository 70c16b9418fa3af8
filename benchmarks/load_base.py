"""How long a base takes to load, and how much memory: `python benchmarks/load_base.py [NAME OR PATH]`.

Each number comes from a fresh process, after the imports. Memory is the process's peak, of which the
imports alone take the first line.
"""

import resource
import subprocess
import sys
import time


def peak_megabytes() -> float:
    """Return the peak resident memory of this process (Linux counts it in KiB, macOS in bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1e6 / 1024
    )


def measure(name: str) -> None:
    """Load one base and print what it took."""
    from workbench.models.loaders import load_base

    print(f"imports              {peak_megabytes():7.0f} MB")
    wall, processor = time.perf_counter(), time.process_time()
    base = load_base(name)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"load {wall:6.2f} s wall, {processor:6.2f} s of the processor, {peak_megabytes():7.0f} MB")
    print(base)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        measure(sys.argv[2])
    else:
        for name in sys.argv[1:] or ["classroom", "smollm2-135m"]:
            subprocess.run([sys.executable, __file__, "--once", name], check=True)
