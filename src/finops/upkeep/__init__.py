"""Looking after an installation: one file per command."""
