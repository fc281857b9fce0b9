"""Scores and their certainty: pure numpy, no config, no torch."""
