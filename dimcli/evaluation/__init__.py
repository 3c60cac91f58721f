"""Methods against the truth: figures, intervals, protocols, score tables and the report."""
