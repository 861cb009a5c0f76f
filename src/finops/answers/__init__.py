"""Answers from the store: what was spent, whether it is right, and why."""
