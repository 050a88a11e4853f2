"""Fixtures of the bench suites' tests."""

from tests.devices.ncs2 import ncs2_environment as ncs2_environment
