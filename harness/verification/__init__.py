"""Pruning libraries put to the claims of their literature: Distiller's doors, findings, and the page about them."""
