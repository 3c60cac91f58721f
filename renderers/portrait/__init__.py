"""One picture of a face, moved."""
