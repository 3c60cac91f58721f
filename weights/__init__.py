"""Bundled weights and data files."""
