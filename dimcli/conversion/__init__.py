"""Between spaces and heads: FLAME's files, fits, converted motion."""
