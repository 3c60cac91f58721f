"""Heads drawn as meshes."""
