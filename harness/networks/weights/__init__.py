"""From a file that some trainer left to the weights of one network: read safely, chosen, fitted to its names."""
