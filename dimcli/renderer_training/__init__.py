"""Clips of a person in, their renderer out."""
