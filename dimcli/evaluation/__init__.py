"""Methods against the truth: figures, intervals, protocols and the paper's tables."""
