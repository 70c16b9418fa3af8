"""Tools to judge kernels without a GPU: an interpreter, a trace of memory, a compiler for cards elsewhere.

They need Triton, so nothing of the package imports them. The tests of the kernels and the lessons do.
"""
