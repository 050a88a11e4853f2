"""Fixtures of the pages' tests: the records' small file."""

from tests.records.conftest import architecture as architecture
from tests.records.conftest import file as file
