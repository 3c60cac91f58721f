"""Heads drawn as shaded meshes."""
