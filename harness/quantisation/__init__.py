"""How a network gets smaller by bits: calibration, quantised artefacts, layers that stay in float (NNCF behind one module)."""
