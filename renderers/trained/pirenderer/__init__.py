"""PIRenderer's published networks and the reader of their weights."""
