"""A JSON document of a campaign: written whole or not at all, read into its record or refused with file, line and field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import CampaignError, one_line
from harness.files import disk, json_text, reading
from harness.records import stored_files
from harness.records.decoding import FieldRefused, decode, told

T = TypeVar("T")


def write(path: Path, content: str) -> Path:
    """Write ``content``, also into a folder that is not there yet; CampaignError when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored_files.replace(path, content.encode())
    except OSError as error:
        raise CampaignError(f"{disk.told(error, path, len(content))}; make room or give the folder back its permissions") from error
    return path


def read(
    path: Path, kind: type[T], schema: int, advice: str, prepared: Callable[[dict[str, Any]], dict[str, Any]] = lambda document: document
) -> T:
    """The record of ``kind`` that the document in ``path`` is; CampaignError, ending with ``advice``, where it is none.

    prepared: brings the document, without its schema, to the record's own form; it may raise FieldRefused, whose way is told too.
    """
    text = ""
    try:
        text = reading.text(path)
        document = json_text.parse(text)
        if not isinstance(document, dict) or "schema" not in document:
            raise CampaignError(f"{path} is broken (it is no object with a schema); {advice}")
        if (found := document.pop("schema")) != schema or type(found) is not int:
            raise CampaignError(f"{path} is of another schema than {schema}; use the Espalier that wrote it")
        return decode(kind, prepared(document), "")
    except FieldRefused as error:
        line = json_text.line_of(text, error.way)
        where = f"line {line}: {told(error.way).lstrip('.') or 'it'}"
        raise CampaignError(one_line(f"{path} is broken ({where} {error.reason}); {advice}")) from error
    except OSError as error:
        raise CampaignError(f"{path} cannot be read ({error.strerror}); {advice}") from error
    except ValueError as error:
        raise CampaignError(one_line(f"{path} is broken ({error}); {advice}")) from error
