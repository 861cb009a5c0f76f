"""Answers from the store: each is a module, its SQL beside it; nothing here prints or writes."""
