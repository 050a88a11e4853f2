"""Loads the harness's pytest plugin for bench/ and tests/; hypothesis profiles are in tests/conftest.py, as bench/ runs without it."""

pytest_plugins = ["harness.runner.plugin"]
