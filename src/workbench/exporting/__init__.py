"""Models that leave: an adapter merged into its base, written in a format, and shown to be the same."""
