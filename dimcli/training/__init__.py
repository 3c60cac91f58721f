"""Training: one loop, the stages of every method, what each minimises."""
