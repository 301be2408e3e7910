"""The settings of one app, and what follows from them."""
