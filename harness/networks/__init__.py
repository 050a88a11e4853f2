"""What runs: networks, datasets, their coupled channel groups, and their export to ONNX."""
