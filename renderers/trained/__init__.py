"""Renderers that learned one person."""
