"""One reader for each data set, one for files, one for the Hub, and what they share."""
