"""The order of the stages. No other folder knows it."""
