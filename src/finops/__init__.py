"""Open FinOps: cloud bills in databases people own."""

__version__ = "0.1.0"
