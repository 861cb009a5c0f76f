"""Looking after what is loaded: one file, one command, one function of the same name."""
