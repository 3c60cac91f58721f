"""Dyads and speech drawn from a written-down rule."""
