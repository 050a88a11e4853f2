"""All experiments on Distiller: importing this fills the table, and ``MODULES`` is what is shipped to another interpreter."""

from __future__ import annotations

import importlib

PARTS = (
    "elementwise",
    "gradual",
    "filters",
    "chance",
    "statistics",
    "reconstruction",
    "policy",
    "regularizers",
    "schedules",
    "thinning",
    "thinned_layers",
    "sensitivity",
    "examples",
)
MODULES = ("tests.literature.probes.experiment", *(f"tests.literature.probes.{part}" for part in PARTS))

for _module in MODULES:
    importlib.import_module(_module)
