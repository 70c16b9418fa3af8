"""Let kernels call the helpers of their module where shapes are checked at run time.

The shape checker wraps every function of the package before ``triton.jit`` sees it, and the wrapper's
globals are the checker's own. Import this before any ``*_triton`` module: Triton gets the function itself.
"""

import inspect

from triton.runtime.jit import JITCallable

_take = JITCallable.__init__
JITCallable.__init__ = lambda self, fn: _take(self, inspect.unwrap(fn))
