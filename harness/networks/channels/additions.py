"""Residual branches found by the graph: a block whose forward adds two maps of one shape, of which one comes without the other's layers.

The block without its branch is its own forward without the addition, so that shortcuts of any kind (a convolution, slices and padding, a
pooling) stay as they are.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

import torch
from torch import fx, nn

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


@dataclass(frozen=True)
class Branched:
    """A block without its branch, and the paths below the block of the modules that go with the branch."""

    shortcut: nn.Module
    gone: frozenset[str]


class _Shallow(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def without_addition(block: nn.Module) -> Branched | None:
    """``block`` without its residual branch, sharing its other modules; None without exactly one addition with a path around it."""
    try:
        graph = _Shallow().trace(block)
    except Exception:  # a forward that decides by its values; it has no branch that can be told
        return None
    found = [node for node in graph.nodes if node.target in _ADDITIONS and len(node.args) > 1 and _are_nodes(node.args[:2])]
    if len(found) != 1 or sum(node.op == "placeholder" for node in graph.nodes) != 1:
        return None
    addition = found[0]
    ours, theirs = (_modules_before(operand) for operand in addition.args[:2])
    layers = [_layer_count(block, exclusive) for exclusive in (ours - theirs, theirs - ours)]
    if layers[0] == layers[1] or min(layers) > 1:
        return None
    addition.replace_all_uses_with(addition.args[1 if layers[0] > layers[1] else 0])
    graph.erase_node(addition)
    left = fx.GraphModule(block, graph, f"{type(block).__name__}Shortcut")
    left.graph.eliminate_dead_code()
    left.delete_all_unused_submodules()
    left.recompile()
    stays = {id(module) for module in left.modules()}
    return Branched(left, frozenset(name for name, module in block.named_modules() if name and id(module) not in stays))


def _are_nodes(operands: tuple[object, ...]) -> bool:
    return all(isinstance(operand, fx.Node) for operand in operands)


def _modules_before(node: fx.Node) -> frozenset[str]:
    """The modules that ``node`` depends on."""
    seen: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(one.all_input_nodes)
    return frozenset(str(one.target) for one in seen if one.op == "call_module")


def _layer_count(block: nn.Module, places: frozenset[str]) -> int:
    return sum(isinstance(module, nn.Conv2d | nn.Linear) for place in places for module in block.get_submodule(place).modules())
