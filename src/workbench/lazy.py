"""Names of a package that are loaded when they are asked for, so that importing it loads nothing heavy."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from workbench.errors import InputError, how_to_install


def on_first_use(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``.

    Args:
        package: Its ``__name__``, for messages.
        places: Each name with the module that defines it; a module's own name stands for the module itself.
    """

    def load(name: str) -> Any:  # noqa: ANN401 - whatever it names
        if name not in places:
            near = get_close_matches(name, places, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(places)}"
            raise AttributeError(f"module {package!r} has no attribute {name!r}; {hint}", name=name)
        try:
            module = import_module(places[name])
        except ModuleNotFoundError as error:
            if error.name not in ("anywidget", "traitlets"):
                raise
            raise InputError(
                f"the widget {name} needs {error.name}, which isn't installed; run {how_to_install('lab')}"
            ) from error
        return module if places[name].rpartition(".")[2] == name else getattr(module, name)

    return load
