"""A model card for a folder that leaves, in the form of the Hugging Face Hub."""

import json

from workbench.adapters.adapter import LoraAdapter
from workbench.exporting.parity import Difference
from workbench.models.base import Base

CARD_FILE = "README.md"
"""Where the Hub looks for a card."""


def export_card(
    base: Base,
    adapter: LoraAdapter | None,
    format: str,
    written: Difference,
    tolerance: Difference,
    description: str | None = None,
) -> str:
    """Return the card: what the model was made of, its licences, and how it was shown to be the same.

    ``license`` is left to whoever passes it on: the licences of the base, the adapter and its data all hold.
    """
    head = ["---", f"base_model: {json.dumps(base.name)}", "library_name: transformers"]
    head += ["tags:", "- lora-scaling-workbench", "---", ""]
    facts = {
        "base": base.name,
        "SHA-256 of the base": base.sha256,
        "licence of the base": base.licence or "not stated",
        "adapter": "none" if adapter is None else adapter.name,
        "format": format,
        "against base and adapter apart": str(written),
        "allowed by the format's rounding": str(tolerance),
    }
    body = ["# A base, with an adapter merged into it" if adapter is not None else "# A base", ""]
    body += [f"{description}", ""] if description else []
    body += ["Written by the LoRA scaling workbench, and compared with what it was made of.", ""]
    body += ["| | |", "| --- | --- |", *(f"| {name} | {told} |" for name, told in facts.items()), ""]
    body += ["Whoever passes it on has to keep to the licences of the base, the adapter and its data.", ""]
    return "\n".join(head + body)
