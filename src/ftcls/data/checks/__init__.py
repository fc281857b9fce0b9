"""What is checked about the rows of a corpus."""
