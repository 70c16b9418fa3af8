"""The kernel lab: exercises in Triton's interpreter, checks of them, pictures of what they touch.

Nothing here is loaded before it is asked for, so that :func:`ready` can say in a sentence that Triton is
missing.
"""

from typing import TYPE_CHECKING

from workbench.lazy import on_first_use
from workbench.lessons.kernel_lab.needs import ready

if TYPE_CHECKING:
    from workbench.lessons.kernel_lab.kernel_checks import check_kernel, watched
    from workbench.lessons.kernel_lab.kernel_figures import bytes_moved
    from workbench.lessons.widgets.touches import Touches

__all__ = ["Touches", "bytes_moved", "check_kernel", "ready", "watched"]

if not TYPE_CHECKING:  # a type checker reads the imports above, and finds a name that isn't there
    __getattr__ = on_first_use(
        __name__,
        {
            "Touches": "workbench.lessons.widgets.touches",
            "bytes_moved": f"{__name__}.kernel_figures",
            "check_kernel": f"{__name__}.kernel_checks",
            "watched": f"{__name__}.kernel_checks",
        },
    )
