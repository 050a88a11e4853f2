"""The options of a device's table as its runtime reads them: known names, the kinds that they have, and words for what is neither."""

import shlex

import faults

BY_THE_HARNESS = ("compile_only",)  # told to every runtime, of use to some


def read(options, known, runtime):
    """Option to what it is set to; Unusable for an unknown one, and for one of another kind.

    known: option to ``(default, words)``; the default's kind is the option's kind. A number is 0 or more, or as little as its default, or
    as a third part ``(default, words, least)`` says. A list of words is a tuple by default; in a table it
    may be one text.
    """
    unknown = sorted(set(options) - set(known) - set(BY_THE_HARNESS))
    if unknown:
        raise faults.Unusable("runtime %s has no option %r; it has %s" % (runtime, unknown[0], ", ".join(sorted(known))))
    return {name: _read(name, options[name], *told) if name in options else told[0] for name, told in known.items()}


def _read(name, given, default, words, least=None):
    if isinstance(default, tuple):
        try:
            return tuple(shlex.split(given) if isinstance(given, str) else [str(word) for word in given])
        except (ValueError, TypeError) as error:
            raise faults.Unusable("option %s = %r cannot be read (%s); give %s" % (name, given, error, words))
    kind = type(default)
    whole = kind is int and isinstance(given, (int, float)) and not isinstance(given, bool) and int(given) == given
    if not (whole or (kind is not int and isinstance(given, kind))) or (whole and given < (min(0, default) if least is None else least)):
        raise faults.Unusable("option %s = %r is none; give %s" % (name, given, words))
    return kind(given)
