"""Fixtures of the sweeps' tests: the small network, its machine and its measurements of the latency tests."""

from tests.devices.ncs2 import ncs2_environment as ncs2_environment
from tests.latency.conftest import conditions as conditions
from tests.latency.conftest import machine as machine
from tests.latency.conftest import measured as measured
from tests.latency.conftest import network as network
from tests.latency.conftest import residual_network as residual_network
