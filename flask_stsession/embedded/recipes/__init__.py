"""The recipes of the embedded core: one module for each group of routes."""
