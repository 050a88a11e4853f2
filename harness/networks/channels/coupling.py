"""Groups of channels that can only be removed together, out of what one inference told, and what is left out of them and why.

What is coupled is what [Fang2023]_ calls a group; it is found from the channels' own way through the network.

.. [Fang2023] G. Fang, X. Ma, M. Song, M. B. Mi, X. Wang: DepGraph: Towards Any Structural Pruning. CVPR 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.networks.channels.identities import NO_CHANNEL, OUTPUT, Identities
from harness.networks.channels.running import CONV
from harness.networks.channels.tracing import IN, OUT, Met, Traced


@dataclass(frozen=True)
class Span:
    """Where a group's channels lie in one module.

    module: its path. side: "out" (what it produces; also normalisation and depthwise) or "in" (what it reads).
    positions: for each channel of the group its indices on that side; several behind a flatten or where it is read several times.
    """

    module: str
    side: str
    positions: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class CoupledChannels:
    """One group with every place in the network where its channels lie, the first being the layer that names it."""

    name: str
    channels: int
    step: int
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class LeftOut:
    """Channels that keep their number: the first layer that produces them, how many they are, and why: a sentence on them."""

    name: str
    channels: int
    reason: str


@dataclass(frozen=True)
class Coupled:
    """The groups of one network and what is left out of them, both in network order."""

    groups: tuple[CoupledChannels, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, eq=False)
class _Place:
    met: Met
    roots: tuple[int, ...]

    @property
    def produces(self) -> bool:
        return self.met.side == OUT and self.met.layer is not None and not self.met.layer.depthwise


def couple(traced: Traced) -> Coupled:
    """The groups of the network that ``traced`` is of."""
    places = [_Place(met, traced.identities.roots(met.ids)) for met in traced.met]
    groups, left_out = [], dict[str, LeftOut]()
    for producers in _components([place for place in places if place.produces]):
        name, width = producers[0].met.place, len(producers[0].roots)
        spans = tuple(span for place in places if (span := _span(place, producers[0].roots)) is not None)
        step = _step(places, spans, width)
        reason = _why_not(producers, places, spans, traced.identities) or _why_no_step(step, width)
        if reason is None:
            groups.append(CoupledChannels(name, width, step, spans))
        elif reason != OUTPUT and width > 1:
            left_out.setdefault(name, LeftOut(name, width, reason))
    return Coupled(tuple(groups), tuple(left_out.values()))


def _components(producers: list[_Place]) -> list[list[_Place]]:
    """Layers that produce the same channels, in the order of the first of each."""
    holds: dict[int, list[_Place]] = {}  # by root
    order: list[list[_Place]] = []
    for producer in producers:
        component = [producer]
        order.append(component)
        for root in producer.roots:
            other = holds.setdefault(root, component) if root != NO_CHANNEL else component
            if other is not component:  # the older one takes all of the younger's layers
                other.extend(component)
                order.remove(component)
                for known in [known for known, found in holds.items() if found is component]:
                    holds[known] = other
                component = other
    return order


def _span(place: _Place, roots: tuple[int, ...]) -> Span | None:
    """Where the channels of these roots lie at one place; None where none does."""
    wanted = dict.fromkeys(roots)
    positions: dict[int, list[int]] = {}
    for index, root in enumerate(place.roots):
        if root in wanted and root != NO_CHANNEL:
            positions.setdefault(root, []).append(index)
    if not positions:
        return None
    return Span(place.met.place, place.met.side, tuple(tuple(positions.get(root, ())) for root in wanted))


def _why_not(producers: list[_Place], places: list[_Place], spans: tuple[Span, ...], identities: Identities) -> str | None:
    """Why these channels keep their number; None where each lies whole and in order in every layer and is read by another one."""
    roots = producers[0].roots
    fixed = identities.reason(root for producer in producers for root in producer.roots)
    if fixed is not None:
        return fixed
    for producer in producers:
        if producer.roots != roots:
            return f"they are added in part, or in another order, to what {producer.met.place} produces"
    if len(set(roots)) < len(roots):
        return "several of them can only go at once"
    if not any(span.side == IN for span in spans):
        return "no layer reads them"
    identity = tuple((channel,) for channel in range(len(roots)))
    filters = {place.met.place for place in places if place.met.layer is not None and place.met.layer.depthwise}
    for span in spans:
        if len({len(positions) for positions in span.positions}) != 1:
            return f"{span.module} meets only a part of them"
        if span.module in filters and span.positions != identity:
            return f"{span.module} filters them beside other channels"
    return None


def _step(places: list[_Place], spans: tuple[Span, ...], width: int) -> int:
    """Multiples of what a group's channels come in: grouped convolutions lose the same places in each of their groups."""
    layers = {(place.met.place, place.met.side): place.met.layer for place in places}
    identity = tuple((channel,) for channel in range(width))
    step = 1
    for span in spans:
        layer = layers[span.module, span.side]
        if layer is not None and layer.kind == CONV and layer.groups > 1 and not layer.depthwise:
            if span.side == IN and (width != layer.in_channels or span.positions != identity):
                return width  # only a part of a grouped convolution's input: cannot stay balanced
            step = math.lcm(step, layer.groups)
    return step


def _why_no_step(step: int, width: int) -> str | None:
    return "they feed a grouped convolution that needs all of them" if step >= width else None
