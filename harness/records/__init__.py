"""What was measured: frozen dataclasses on the standard library alone."""
