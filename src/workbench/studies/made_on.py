"""On which devices a study's cells were made, and what is said where these are several.

The bits of a cell depend on its device. Cells of two may stand in one table, but never without a word.
"""

from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path

from workbench.conversions import quoted
from workbench.devices import Device
from workbench.errors import InputError
from workbench.models.precision import choose_precision
from workbench.studies.disk.store import Store
from workbench.studies.identity import folder_beside


def made_on(store: Store) -> Counter[str]:
    """Count a study's cells by the device that made them: "cpu", or a card by its name."""
    first = store.manifest.arithmetic.device or "cpu"  # versions that didn't record it knew no other
    return Counter(made.get("device", first) for made in store.made().values())


def mixed_devices(device_name: str, keys: Set[str], store: Store) -> Iterator[str]:
    """Yield a sentence where a study's cells come, or are about to come, from several devices.

    Args:
        device_name: The device that computes now.
        keys: The cells that the study is to have.
        store: Those that it has.
    """
    found = made_on(store)
    found[device_name] += len(keys - store.done())
    found = +found  # without those of which there are none
    if len(found) > 1:
        parts = ", ".join(f"{count:,} on {device}" for device, count in sorted(found.items()))
        yield (
            f"the cells of this study come from different devices ({parts}): a cell differs between them by "
            "the rounding of sums, so a difference of qualities as small as that says nothing"
        )


def check_going_on(folder: Path, precision: str, where: str, device: Device) -> None:
    """Refuse to go on with a study in whose precision a device can't compute.

    Args:
        folder: The study's.
        precision: Its cells'.
        where: The device that it was begun on.
        device: The one that is to go on.

    Raises:
        InputError: With where it can go on.
    """
    if device.torch.type == "cpu" and precision != "float16":
        return  # what this processor alone lacks is said when the base is loaded
    try:
        choose_precision(precision, 0, device.torch)
    except InputError as error:
        other = "cuda" if device.torch.type == "cpu" else "cpu"
        place = folder_beside(folder, device.torch.type, lambda there: False)
        raise InputError(
            f"{folder} was begun in {precision} on {where}, in which {device.card or 'a processor'} can't "
            f"go on; go on with --device {other}, or begin another study with --out {quoted(place)}"
        ) from error
