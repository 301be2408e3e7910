"""An implementation of the Core Driver Interface over SQLite, for when there is no core yet."""
