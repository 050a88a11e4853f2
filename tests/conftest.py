"""Clean surroundings for what tests start, and hypothesis profiles: ``dev`` explores, ``ci`` repeats; HYPOTHESIS_PROFILE chooses."""

import os

from hypothesis import HealthCheck, settings

# Tests start pytest, and programs that start it, as a user would; a run that thinks it is one of many measures nothing.
for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
    del os.environ[name]

settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
