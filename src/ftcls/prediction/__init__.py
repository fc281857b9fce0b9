"""Files through a classifier: every row, in order, with its label and probabilities beside it."""
