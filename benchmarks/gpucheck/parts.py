"""The parts by name: (where it runs, what keeps a result that isn't whole yet) -> the result."""

from collections.abc import Callable

from gpucheck.hardware import hardware_tests
from gpucheck.memory import memory
from gpucheck.operators import operators
from gpucheck.place import Place
from gpucheck.record import Record
from gpucheck.study import study
from gpucheck.throughput import throughput
from gpucheck.waiting import synchronizations

Keep = Callable[[Record], None]

PARTS: dict[str, Callable[[Place, Keep], Record]] = {
    "hardware_tests": hardware_tests,
    "throughput": throughput,
    "operators": operators,
    "memory": memory,
    "synchronizations": synchronizations,
    "study": study,
}
