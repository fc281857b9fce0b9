"""A trained model at work: the forward pass, and the classifier that people use."""
