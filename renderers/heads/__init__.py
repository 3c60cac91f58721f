"""Heads that motion poses: the open head, FLAME, and the way between them."""
