"""Benchmark flask-stsession and its peers in one run: ``python -m benchmarks``."""
