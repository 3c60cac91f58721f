"""Clips of dyads, the data sets that hold them, and where they come from."""
