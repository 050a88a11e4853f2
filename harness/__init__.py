"""Espalier's harness: compress a convolutional network, run it on a device, record what was measured."""
