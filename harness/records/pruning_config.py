"""PruningConfig: how many channels every group of coupled channels keeps, in one canonical form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.files import json_text, reading

SCHEMA = 1
MOST_CHANNELS = 1 << 24


@dataclass(frozen=True, slots=True)
class PruningConfig:
    """Channels kept per group; 0 on a residual block's interior removes the branch.

    network: the network's name, e.g. ``resnet20``. channels: ``(group, kept)`` pairs sorted by group name, one for
    every group of the network, so that equal configurations have equal digests.
    """

    network: str
    channels: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.channels]
        if names != sorted(set(names)):
            raise UsageError("channels must be sorted by group and name each group once; use PruningConfig.of")
        counts = [kept for _, kept in self.channels]
        if set(map(type, counts)) <= {int} and min(counts, default=0) >= 0 and max(counts, default=0) <= MOST_CHANNELS:
            return  # nearly always, and thousands of times in a file
        for name, kept in self.channels:
            if isinstance(kept, bool) or not isinstance(kept, int) or not 0 <= kept <= MOST_CHANNELS:
                told = repr(kept) if not isinstance(kept, int) or abs(kept) < 10**40 else "far too many"
                raise UsageError(f"group {name[:60]} keeps {told[:60]} channels; give a whole number from 0 to {MOST_CHANNELS}")

    @classmethod
    def of(cls, network: str, channels: Mapping[str, int] | Iterable[tuple[str, int]]) -> PruningConfig:
        """A configuration from any mapping of group to channels kept."""
        pairs = channels.items() if isinstance(channels, Mapping) else channels
        return cls(network, tuple(sorted(pairs)))

    def kept(self, group: str) -> int:
        """Channels that ``group`` keeps; UsageError when the configuration does not name it."""
        for name, count in self.channels:
            if name == group:
                return count
        raise UsageError(f"the configuration names no group {group!r}; it names {', '.join(name for name, _ in self.channels)}")

    def with_channels(self, group: str, kept: int) -> PruningConfig:
        """The same configuration with ``group`` at ``kept`` channels."""
        self.kept(group)
        return PruningConfig.of(self.network, {**dict(self.channels), group: kept})

    @property
    def canonical(self) -> str:
        """JSON with sorted keys and no spaces: equal text for equal configurations."""
        document = {"channels": dict(self.channels), "network": self.network, "schema": SCHEMA}
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the canonical form's SHA-256."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]

    @classmethod
    def read(cls, path: Path) -> PruningConfig:
        """Read a file such as a campaign's ``config.json``; UsageError when there is none, or it is something else."""
        try:
            return cls.from_json(reading.text(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path} ({error}); give a config.json that a campaign wrote") from error

    @classmethod
    def from_json(cls, text: str) -> PruningConfig:
        """Read what ``canonical`` (or a person) wrote; UsageError when it is something else."""
        try:
            document = json_text.parse(text)
        except ValueError as error:
            raise UsageError(f"a pruning configuration is not valid JSON ({error}); write it again") from error
        if not isinstance(document, dict) or not isinstance(document.get("channels"), dict):
            raise UsageError('a pruning configuration looks like {"network": "resnet20", "channels": {"conv1": 16, ...}}')
        if document.get("schema", SCHEMA) != SCHEMA:
            raise UsageError(f"a pruning configuration of schema {document['schema']!r:.20} is newer than this; update Espalier")
        return cls.of(str(document.get("network", "")), document["channels"])
