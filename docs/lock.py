"""Print the exact versions of this environment as ``constraints.txt``; ``make lock`` calls it.

Only names and versions: no place to get them from, and no build of torch, so that the file holds for a
machine with a GPU and for one without.
"""

import platform
from importlib.metadata import distributions

LEFT_OUT = {"lora-scaling-workbench", "pip", "setuptools"}


def main() -> None:
    """Print one line a package."""
    found = {item.metadata["Name"].lower().replace("_", "-"): item.version for item in distributions()}
    print(f"# Exact versions that the tests ran with, Python {platform.python_version()}.")
    print("# Use:   pip install -c constraints.txt -e '.[lab,test]'")
    print("# Write: make lock")
    for name, version in sorted(found.items()):
        if name not in LEFT_OUT:
            print(f"{name}=={version.partition('+')[0]}")


if __name__ == "__main__":
    main()
