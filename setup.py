"""What pyproject.toml cannot say: a wheel holds the suites of ``bench/`` as well, as ``harness/bench``, beside what they need."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithSuites(build_py):
    """Copies the suites into what a wheel is made of; a checkout, installed in place, has them already."""

    def run(self):
        """Build as usual, then add the suites."""
        super().run()
        if self.editable_mode:
            return
        place = Path(self.build_lib) / "harness" / "bench"
        self.mkpath(str(place))
        for suite in sorted(Path("bench").glob("*.py")):
            self.copy_file(str(suite), str(place / suite.name))


setup(cmdclass={"build_py": WithSuites})
