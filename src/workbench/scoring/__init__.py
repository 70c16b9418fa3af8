"""One number for each record: what the data don't say about themselves, and a choice of them can rest on."""
