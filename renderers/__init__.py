"""From motion to pictures: heads, meshes, portraits and trained renderers."""
