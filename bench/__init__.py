"""What is measured on a device: pytest-benchmark suites, run as ``pytest bench/ --device=NAME``."""
