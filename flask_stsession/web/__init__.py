"""One request: what reads it and what answers it. Everything that knows Flask."""
