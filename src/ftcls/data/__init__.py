"""Readers that turn a data set into a Corpus, and what is done to its texts and splits."""
