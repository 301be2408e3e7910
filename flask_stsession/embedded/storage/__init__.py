"""The storage of the embedded core: its tables, and its access to SQLite."""
