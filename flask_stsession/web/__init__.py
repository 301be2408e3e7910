"""Handle requests with Flask: verify their sessions, guard views, and write responses."""
