"""What a person reads about a run. Never imports torch."""
