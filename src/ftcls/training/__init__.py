"""The training step, its losses, callbacks and checkpoints."""
