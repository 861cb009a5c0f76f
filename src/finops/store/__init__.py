"""The store: DuckDB. Periods are replaced whole; the file is replaced by rename."""
