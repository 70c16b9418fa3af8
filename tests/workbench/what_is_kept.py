"""Count the bytes that a forward pass keeps for its gradient, by whatever keeps them."""

from types import FunctionType

import torch


def kept_bytes(forward, without=()):
    """Run ``forward`` and count what its result keeps, apart from the storages of some tensors."""
    sizes = {}

    def keep(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = forward()
    _follow(_ways_back(result.grad_fn), keep, {})
    known = {tensor.untyped_storage().data_ptr() for tensor in without}
    return sum(size for place, size in sizes.items() if place not in known)


def _ways_back(node):
    """Return the functions that a step of autograd written by hand keeps, found from a result's node."""
    while node is not None and not hasattr(node, "backs"):
        node = node.next_functions[0][0] if node.next_functions else None
    return [] if node is None else node.backs


def _follow(value, keep, seen):
    """Show every tensor that a function's closure holds, or what that holds, a graph's leaves among it."""
    if id(value) in seen:
        return
    seen[id(value)] = value  # held, so that nothing else gets its number
    if isinstance(value, torch.Tensor):
        keep(value)
        return
    inside = ()
    if isinstance(value, list | tuple):
        inside = value
    elif isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, FunctionType):
        inside = [cell.cell_contents for cell in value.__closure__ or ()]
    elif hasattr(value, "next_functions"):
        inside = [getattr(value, "variable", None), *(node for node, _ in value.next_functions)]
    for one in inside:
        _follow(one, keep, seen)
