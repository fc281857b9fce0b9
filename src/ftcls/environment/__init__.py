"""What surrounds a run: devices, the Hub, caches, signals, files."""
