"""Whether there is a Triton that the kernels were tested with; a sentence where there is none."""

from functools import cache

OLDEST, BEFORE = (3, 6), (3, 10)
"""Versions of Triton that the kernels take, as in ``pyproject.toml``: from the first to before the second."""
WANTED = f"{OLDEST[0]}.{OLDEST[1]} to {BEFORE[0]}.{BEFORE[1] - 1}"
ADVICE = (
    f"install one (pip install 'triton>={OLDEST[0]}.{OLDEST[1]},<{BEFORE[0]}.{BEFORE[1]}', on Linux) or use "
    "backend='torch'"
)


def version_of(text: str) -> tuple[int, int]:
    """Return the first two numbers of a version: (3, 9) for "3.9.0+rocm7.1"."""
    first, second = (int(part) for part in text.split(".")[:2])
    return first, second


@cache
def require_triton() -> None:
    """Refuse to take the Triton route without a Triton of a version that was tested.

    Raises:
        ImportError: If there is no Triton, or one that is too old or too new.
    """
    try:
        import triton
    except ImportError as error:
        # CUDA and ROCm builds of PyTorch bring their own; its name there differs, the module's doesn't
        raise ImportError(f"the Triton kernels need Triton {WANTED}, and there is none: {ADVICE}") from error
    numbers = version_of(triton.__version__)
    if not OLDEST <= numbers < BEFORE:
        raise ImportError(
            f"the Triton kernels need Triton {WANTED}, and this is {triton.__version__}, "
            f"which is too {'old' if numbers < OLDEST else 'new'}: {ADVICE}"
        )
