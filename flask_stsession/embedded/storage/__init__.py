"""What the embedded core stores, and how it reaches SQLite."""
