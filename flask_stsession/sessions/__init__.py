"""Sessions and the operations on them, without Flask and without requests."""
