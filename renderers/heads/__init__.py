"""Heads that motion poses: the open head, FLAME, and the conversion between them."""
