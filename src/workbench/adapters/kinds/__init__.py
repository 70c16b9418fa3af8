"""Kinds of adapter: what each changes about plain LoRA, one file each."""
