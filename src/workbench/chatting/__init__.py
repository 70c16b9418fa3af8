"""A conversation with a base and a stack of adapters on it, on this machine alone."""
