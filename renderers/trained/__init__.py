"""Renderers that have learned one person from clips, and how they draw."""
