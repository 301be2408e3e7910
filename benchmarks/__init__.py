"""How fast flask-stsession is, beside its peers, in one run: ``python -m benchmarks``."""
