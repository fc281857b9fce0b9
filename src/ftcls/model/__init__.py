"""Checkpoints to sequence classifiers."""
