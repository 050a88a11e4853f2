"""What holds the stand-in to the record: members that the release lacks go, calls take what the real ones take, planned faults happen."""

import functools

from tensorrt.release import RECORD, Enumerated, plan


class Fault(RuntimeError):
    """What the real library raises where it fails inside."""


def _fault(how, logger=None):
    """What a planned fault does instead of the call; ``(True, returned)``, or ``(False, None)`` for none."""
    if how == "raise":
        raise Fault("internal error: Assertion failed")
    if how == "memory":
        raise Fault("OutOfMemory (no further information)")
    if how == "type":
        raise TypeError("incompatible function arguments. The following argument types are supported:\n    1. (self: tensorrt)")
    if how == "unicode":
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    if how == "abort":
        raise MemoryError()
    returned = {"none": None, "false": False, "empty": "", "garbage": object(), "minus": -1, "long": (1, 2, 3, 4, 5, 6, 7)}
    return (True, returned[how]) if how in returned else (False, None)


def _held(kind, name, function, overloads):
    """A method that takes what the real one takes, and commits the planned fault."""

    @functools.wraps(function)
    def called(self, *arguments, **words):
        if not any(_takes(one[1:], arguments, words) for one in overloads):
            raise TypeError("%s.%s(): incompatible function arguments" % (kind, name))
        found, returned = _fault(plan.get("%s.%s" % (kind, name)))
        return returned if found else function(self, *arguments, **words)

    return called


def _takes(names, arguments, words):
    known = [name.rstrip("=") for name in names]
    given = set(known[: len(arguments)]) | set(words)
    needed = {name for name in names if not name.endswith("=")}
    return len(arguments) <= len(known) and set(words) <= set(known) and not set(known[: len(arguments)]) & set(words) and needed <= given


def _held_property(kind, name, found):
    def get(self):
        faulty, returned = _fault(plan.get("%s.%s" % (kind, name)))
        return returned if faulty else found.fget(self)

    def put(self, setting):
        _fault(plan.get("%s.%s=" % (kind, name)))
        found.fset(self, setting)

    return property(get, put if found.fset and "w" in RECORD["classes"][kind][name] else None)


def hold(kinds):
    """Class by name, of those that the release has, each without what it lacks."""
    found = {kind.__name__: kind for kind in kinds if kind.__name__ in RECORD["classes"]}
    for kind, members in found.items():
        recorded = RECORD["classes"][kind]
        for name, member in list(vars(members).items()):
            if name == "__init__" and name in recorded:
                setattr(members, name, _held(kind, name, member, recorded[name]))
            elif name.startswith("_") or isinstance(member, (type, Enumerated)):
                continue
            elif name not in recorded:
                delattr(members, name)
            elif isinstance(member, property):
                setattr(members, name, _held_property(kind, name, member))
            elif name not in ("log", "report_layer_time"):
                setattr(members, name, _held(kind, name, member, recorded[name]))
    return found
