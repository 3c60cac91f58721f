"""The zero-shot portrait: one picture of a face, moved."""
