"""From pictures of faces to motion."""
