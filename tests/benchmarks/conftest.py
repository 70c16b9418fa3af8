"""Lets the tests import the parts of `make gpu-check`, which lie with the benchmarks, and run kernels."""

import inspect
import sys
from pathlib import Path

from triton.runtime.jit import JITCallable

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

# as in tests/kernels: the shape checker wraps every function of the package, and a kernel has to be itself
_take = JITCallable.__init__
JITCallable.__init__ = lambda self, fn: _take(self, inspect.unwrap(fn))
