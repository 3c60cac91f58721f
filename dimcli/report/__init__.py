"""HTML reports of evaluations: one file, no network."""
