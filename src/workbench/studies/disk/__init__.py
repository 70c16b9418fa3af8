"""What lies on disk of a study: results, manifest, adapters, checkpoints, kept states, and the lock."""
