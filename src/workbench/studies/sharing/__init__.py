"""Giving a study to somebody else: as one archive, as a model card, to MLflow; and taking one in."""
