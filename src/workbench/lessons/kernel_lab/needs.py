"""Whether this machine can run the kernel lab: one sentence where it can't, and what to do."""

import shlex
import sys

from qlora_kernels.triton_version import BEFORE, OLDEST, why_no_triton
from workbench.errors import InputError

TRITON = f"triton>={OLDEST[0]}.{OLDEST[1]},<{BEFORE[0]}.{BEFORE[1]}"


class NotReadyError(InputError):
    """Something that a notebook needs isn't there; a notebook shows the sentence and no traceback."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        return [str(self)]


def ready() -> None:
    """Go on if there is a Triton that the lab was tested with.

    Raises:
        NotReadyError: If there is none, or one that is too old or too new.
    """
    why = why_no_triton()
    if why is None:
        return
    reason = why.partition(", and ")[2].replace("there is none", "it isn't installed")
    if not sys.platform.startswith("linux"):
        raise NotReadyError(
            "The kernel lab needs Triton, which exists on Linux only. Read this notebook with the pictures "
            "that it brings, or open it on a Linux machine; all the other notebooks run here."
        )
    command = shlex.join([sys.executable, "-m", "pip", "install", TRITON])
    raise NotReadyError(
        f"The kernel lab needs Triton {TRITON.removeprefix('triton')} (Linux only), and {reason}. Type this "
        f"in a terminal, restart the kernel and run the notebook again: {command}"
    )
