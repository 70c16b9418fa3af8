"""What the check consists of, in its order, and how long each part may take. Nothing here needs torch."""

import importlib.util

SECONDS = 420.0
"""Seconds that the whole check may take."""

LIMITS: dict[str, float] = {
    "hardware_tests": 75.0,
    "throughput": 95.0,
    "operators": 80.0,
    "memory": 55.0,
    "synchronizations": 20.0,
    "study": 85.0,
}
"""Seconds that each part may take, compiling included; what it had measured until then is kept."""

MODULES = (
    *("torch", "triton", "einops", "jaxtyping", "numpy", "pytest", "safetensors", "tokenizers", "jinja2"),
    *("transformers", "peft", "gguf", "lemminflect", "psutil"),
)
"""What the parts import, beside the project itself."""

WHEELS = ("gguf", "lemminflect", "psutil")
"""Those that an image with CUDA and PEFT may lack; `make gpu-check-wheels` collects them."""


def missing_modules() -> list[str]:
    """Return those of :data:`MODULES` that this Python doesn't find."""
    return [name for name in MODULES if importlib.util.find_spec(name) is None]
