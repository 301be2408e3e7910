"""Sessions: what they are, and what can be done with them, from tokens rather than requests."""
