"""A study as a page that needs no installation: one file to hand out, for whoever only has a browser."""

from workbench.lessons.site.writing import Site, write_site

__all__ = ["Site", "write_site"]
