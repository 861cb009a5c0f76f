"""FOCUS: one shape for the charges of all clouds, and what must hold in it."""
