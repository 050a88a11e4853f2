"""Tables of a ``pyproject.toml``, which may be anybody's: read whole or refused in one line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from harness.errors import UsageError, one_line
from harness.files import reading

MOST_BYTES = 8 << 20


def table(path: Path, *keys: str) -> dict[str, Any]:
    """The table that ``keys`` lead to, empty where there is none; UsageError where the file cannot be read, or one of them is no table."""
    try:
        found: Any = tomllib.loads(reading.text(path, MOST_BYTES))
    except OSError as error:
        raise UsageError(one_line(f"cannot read {path} ({error.strerror}); mend the file")) from error
    except RecursionError as error:
        raise UsageError(f"{path} is nested too deeply to be read; mend the file") from error
    except ValueError as error:
        raise UsageError(one_line(f"cannot read {path}: it is not valid TOML ({error}); mend it")) from error
    for number, key in enumerate(keys, start=1):
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise UsageError(f"{path}: {'.'.join(keys[:number])} is no table; write [{'.'.join(keys)}]")
    return found  # type: ignore[no-any-return]
