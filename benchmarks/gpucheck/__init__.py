"""The parts of `make gpu-check`: `gpu_check.py` runs each in a process of its own."""
