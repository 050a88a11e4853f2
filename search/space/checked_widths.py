"""Legal widths of one group as they were given, checked before a search space is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import UsageError
from harness.records.architecture import ChannelGroup


def checked_widths(group: ChannelGroup, legal: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """The group's legal widths, checked; a group that nobody mentions stays dense."""
    widths = tuple(int(width) for width in legal.get(group.name, (group.channels,)))
    if not widths or widths != tuple(sorted(set(widths))) or widths[0] < 0 or widths[-1] > group.channels:
        raise UsageError(f"legal widths of {group.name} are {list(widths)}; give them ascending, each once, from 0 to {group.channels}")
    if widths[0] == 0 and not group.removable:
        raise UsageError(f"group {group.name} is no residual branch and cannot keep 0 channels; leave 0 out of its legal widths")
    if any(width % group.step for width in widths):
        raise UsageError(f"group {group.name} feeds a grouped convolution; its legal widths must be multiples of {group.step}")
    if group.channels not in widths:
        raise UsageError(f"legal widths of {group.name} lack the dense width {group.channels}; add it")
    return widths
