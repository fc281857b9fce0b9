"""A run for other places: ONNX graphs, plain weights, the Hub."""
