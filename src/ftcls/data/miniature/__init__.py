"""Small generated data sets in the original format of the real ones."""
