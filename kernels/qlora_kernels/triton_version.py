"""Whether there is a Triton that the kernels were tested with; a sentence where there is none."""

from functools import cache

OLDEST, BEFORE = (3, 6), (3, 10)
"""Versions of Triton that the kernels take, as in ``pyproject.toml``: from the first to before the second."""
WANTED = f"{OLDEST[0]}.{OLDEST[1]} to {BEFORE[0]}.{BEFORE[1] - 1}"
INSTALL_TRITON = (
    f"install one on Linux with pip install 'triton>={OLDEST[0]}.{OLDEST[1]},<{BEFORE[0]}.{BEFORE[1]}'"
)
ADVICE = f"{INSTALL_TRITON}, or use backend='torch'"


def version_of(text: str) -> tuple[int, int]:
    """Return the first two numbers of a version: (3, 9) for "3.9.0+rocm7.1"."""
    first, second = (int(part) for part in text.split(".")[:2])
    return first, second


@cache
def why_no_triton() -> str | None:
    """Say why the kernels can't run with the Triton that is installed; None where they can."""
    try:
        import triton
    except ImportError:
        # CUDA and ROCm builds of PyTorch bring their own; its name there differs, the module's doesn't
        return f"the Triton kernels need Triton {WANTED}, and there is none"
    numbers = version_of(triton.__version__)
    if OLDEST <= numbers < BEFORE:
        return None
    age = "old" if numbers < OLDEST else "new"
    return f"the Triton kernels need Triton {WANTED}, and this is {triton.__version__}, which is too {age}"


def require_triton() -> None:
    """Refuse to take the Triton route without a Triton of a version that was tested.

    Raises:
        ImportError: If there is no Triton, or one that is too old or too new.
    """
    if why := why_no_triton():
        raise ImportError(f"{why}: {ADVICE}")
