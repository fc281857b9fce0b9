"""Placeholder."""
def connect() -> bool:
    return False
