"""TensorRT's Python package: its release, its log, and its calls, of which none ends in silence.

The package is as old as the board: names that a release lacks are told with the release, not as an AttributeError.
"""

import functools
import re

import faults

try:
    import tensorrt
except ImportError as problem:
    raise faults.Unavailable(
        "this interpreter cannot import tensorrt (%s); give the board's own (python = '/usr/bin/python3') and install python3-libnvinfer, "
        "or drive its trtexec: runtime = 'trtexec'" % problem
    )

OLDEST = (8, 2)  # from here on build_serialized_network, profiles on request, the engine's inspector
MEMORY_WORDS = ("out of memory", "outofmemory", "insufficient memory", "cudamalloc", "failed_allocation")
MEMORY = "free memory on the device (end other programs, add swap), set workspace_mib lower, or give a smaller network or batch"
TRTEXEC = "drive its trtexec instead: runtime = 'trtexec'"
KEPT = 20  # complaints


class Log(tensorrt.ILogger):
    """What TensorRT says, worst kept; a logger must never raise, the library that calls it would end the process."""

    def __init__(self):
        tensorrt.ILogger.__init__(self)
        self.errors, self.warnings = [], []

    def log(self, severity, msg):
        try:
            text = " ".join(str(msg).split())
            name = str(severity)
            if "ERROR" in name:
                self.errors = (self.errors + [text])[-KEPT:]
            elif "WARNING" in name:
                self.warnings = (self.warnings + [text])[-KEPT:]
        except Exception as error:
            self.errors.append(type(error).__name__)

    def complaints(self):
        """The errors since ``forget`` as one line, else the last warning, or nothing."""
        said = self.errors[:3] or self.warnings[-1:]
        return "; ".join(said)[:600]

    def forget(self):
        """Begin a new page."""
        self.errors, self.warnings = [], []


LOG = Log()


def release():
    """``(8, 5, 2)`` of ``8.5.2.2``; Unavailable for a package without a version, or too old."""
    told = str(getattr(tensorrt, "__version__", ""))
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", told)
    if not found:
        raise faults.Unavailable("the package tensorrt tells no version (%r); install the board's own, python3-libnvinfer" % told)
    parts = tuple(int(part or 0) for part in found.groups())
    if parts < OLDEST:
        raise faults.Unavailable("TensorRT %s lacks what is needed of its Python package, 8.2 has it; %s" % (told, TRTEXEC))
    return parts


def version():
    """As the package tells it."""
    return str(tensorrt.__version__)


def named(place, *names):
    """The attribute of ``place`` by a path of names; Unavailable where this release has none."""
    found = place
    for name in names:
        if not hasattr(found, name):
            said = ".".join(names)
            raise faults.Unavailable(
                "the Python package of TensorRT %s has no %s; install the one of its JetPack, or %s" % (version(), said, TRTEXEC)
            )
        found = getattr(found, name)
    return found


def ask(what, function, *arguments, **words):
    """What a call of the package returns; Refused where it raises, or returns None or False, with what TensorRT logged meanwhile.

    what: as in "TensorRT 8.2.1 cannot {what}". advice: what to do, unless memory was short.
    """
    advice = words.pop("advice", TRTEXEC)
    LOG.forget()
    try:
        found = function(*arguments, **words)
    except (faults.Refused, faults.Unavailable, faults.Unusable):
        raise
    except Exception as error:
        raise faults.Refused(_told(what, "%s: %s" % (type(error).__name__, " ".join(str(error).split())[:300]), advice))
    if found is None or found is False:
        raise faults.Refused(_told(what, "it gives nothing", advice))
    return found


def attempt(what, function, *arguments, **words):
    """As ``ask``, of a call that returns nothing."""
    ask(what, lambda: (function(*arguments), True)[1], **words)


def assign(what, place, name, setting, **words):
    """Set a property of the package's; Unavailable where this release has none of the name."""
    named(place, name)
    attempt(what, setattr, place, name, setting, **words)


def guarded(what):
    """Wraps a method of which nothing may end in an error that is not one line with what to do."""

    def wrap(method):
        @functools.wraps(method)
        def called(*arguments):
            try:
                return method(*arguments)
            except (faults.Refused, faults.Unavailable, faults.Unusable):
                raise
            except AttributeError as error:
                told = version(), " ".join(str(error).split())
                raise faults.Unavailable(
                    "the Python package of TensorRT %s is none that this drives (%s); install its JetPack's, or %s" % (told + (TRTEXEC,))
                )
            except Exception as error:
                raise faults.Refused(_told(what, "%s: %s" % (type(error).__name__, " ".join(str(error).split())[:300]), TRTEXEC))

        return called

    return wrap


def _told(what, reason, advice):
    said = "; ".join(part for part in (reason if not LOG.errors else "", LOG.complaints()) if part)
    short = any(word in said.lower().replace("_", "") for word in MEMORY_WORDS)
    return "TensorRT %s cannot %s (%s); %s" % (version(), what, said, MEMORY if short else advice)
