"""Tests of what talks to a core."""
