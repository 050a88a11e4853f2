"""What trtexec says and writes, from TensorRT 8.0 to 11: its help, its log, its JSON files, its names of layers.

The forms were read in NVIDIA/TensorRT's samples/common at the releases 8.0 to 11.1 and in files of real engines.
"""

import json
import re

import int8_nodes
import onnx_reader

MEDIAN_ROWS, ROWS_WITH_WARM_UP = (8, 4), (8, 5)  # releases: profiles have medians from, times include the warm-up before
BEST = "best"  # a precision: whatever is fastest, layer by layer
MIN_PROFILED = 10  # a profile over fewer inferences is a snapshot of cold caches

FORMS = (("Int8", "int8"), ("INT8", "int8"), ("FP16", "f16"), ("Half", "f16"), ("BF16", "bf16"), ("FP32", "f32"), ("Float", "f32"))

_FLAG = re.compile(r"--([A-Za-z][A-Za-z0-9_]*)")
_VERSION = re.compile(r"\[TensorRT v(\d+)\]")
_ROW = re.compile(r'\{ "name" : "(.*)", "timeMs" : ([^,]+), "averageMs" : ([^,]+),(?: "medianMs" : ([^,]+),)? "percentage" : ')
_COUNT = re.compile(r'"count" : (\d+)')
_ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_COPY = re.compile(r"^(Reformatting CopyNode for |reshape_(before|after)_|copied_squeeze_after_|\S+ copy$)")


class Unreadable(Exception):
    """A file of trtexec holds something else than expected; the text says what."""


def flags(help_text):
    """Names of all flags that ``--help`` lists."""
    return set(_FLAG.findall(help_text))


def version(text):
    """``(8, 5, 2)`` from the banner ``[TensorRT v8502]``, which from 10.0 on reads ``v100300``; None without one."""
    found = _VERSION.search(text)
    if not found:
        return None
    number = int(found.group(1))
    base = 10000 if number >= 100000 else 1000
    return number // base, number % base // 100, number % 100


def device_facts(log):
    """``[key, text]`` pairs of the log's device block."""
    found = []
    for key in ("Selected Device", "Compute Capability", "SMs", "Compute Clock Rate", "Device Global Memory", "Memory Clock Rate"):
        line = re.search(r"\b%s: (.+)" % key, log)
        if line:
            found.append([key.lower(), line.group(1).strip()])
    return found


def complaints(log):
    """The log's error lines as one, or its last line."""
    errors = [line.split("[E]", 1)[1].strip() for line in log.splitlines() if "[E]" in line]
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return "; ".join(errors[:3]) if errors else (lines[-1] if lines else "no output")


def passed(log):
    """Whether trtexec says that it did what it was asked."""
    return "&&&& PASSED TensorRT.trtexec" in log


def times_ms(text, release, warm_up_ms):
    """Latencies of ``--exportTimes`` in ms.

    Taken from the printed duration: with six significant digits, differences of time stamps are off by percents.
    """
    rows = _json(text, "times")
    if not isinstance(rows, list) or not rows:
        raise Unreadable("the exported times hold no rows")
    if release and release < ROWS_WITH_WARM_UP:
        rows = [row for row in rows if row["startComputeMs"] >= warm_up_ms]
    return [float(row["latencyMs"]) for row in rows]


def profile_rows(text):
    """``(inferences, [(layer, milliseconds)])`` of ``--exportProfile``: medians where the release writes them, else means.

    Zero times are normal. How many inferences are enough is not the file's business: see ``enough_profiled``.

    Layer names are not escaped in the file, so rows are taken by their form where JSON fails.
    """
    try:
        document = json.loads(text)
        count = int(document[0]["count"])
        rows = [(row["name"], float(row.get("medianMs", row["averageMs"]))) for row in document[1:] if "name" in row]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        counted = _COUNT.search(text)
        if not counted:
            raise Unreadable("the exported profile has no count")
        count = int(counted.group(1))
        rows = [(name, float(median or average)) for name, _, average, median in _ROW.findall(text)]
    if not rows:
        raise Unreadable("the exported profile has no rows")
    return count, rows


def enough_profiled(count):
    """Refuse a profile of too few inferences: it is whole, but tells of cold caches and of the profiler."""
    if count < MIN_PROFILED:
        told = "the profile is of %d inference%s, no time to quote; profile at least %d: --iterations=%d"
        raise Unreadable(told % (count, "" if count == 1 else "s", MIN_PROFILED, MIN_PROFILED))


def layer_facts(text):
    """Layer name to ``(type, ONNX nodes)`` of ``--exportLayerInfo``; empty when the release writes only names."""
    found = {}
    for layer in _layers(text):
        if isinstance(layer, dict) and "Name" in layer:
            found[layer["Name"]] = (str(layer.get("LayerType", "")), _ONNX_LAYER.findall(str(layer.get("Metadata", ""))))
    return found


def _layers(text):
    """The layers of ``--exportLayerInfo``; none where the text is no such file."""
    try:
        return json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError):
        return []


def layer_precisions(text):
    """Layer name to what it computes in, read off the form of its first input in ``--exportLayerInfo``; without layers of unknown form.

    Weights alone do not tell: they lie in INT8 also where they are made float before use.
    """
    found = {}
    for layer in _layers(text):
        form = _form(layer)
        for mark, precision in FORMS:
            if mark in form:
                found[layer["Name"]] = precision
                break
    return found


def _form(layer):
    try:
        return str(layer["Inputs"][0]["Format/Datatype"])
    except (KeyError, IndexError, TypeError):
        return ""


def sources(name, told):
    """The ONNX names inside a layer's name; ``told`` (the engine's own record of them) wins.

    ``A + B`` is fused, ``A || B`` horizontally, ``PWN(A, B)`` pointwise. A reformat or copy belongs to nobody, and so
    does ``{ForeignNode[A...B]}``, of which only the ends are known.
    """
    if told:
        return list(told)
    if _COPY.match(name) or "ForeignNode[" in name or name.startswith("__my"):
        return []
    found = []
    for fused in re.split(r" \+ | \|\| ", name):
        bare = fused.strip()
        while bare.startswith("PWN("):
            bare = bare[4:-1] if bare.endswith(")") else bare[4:]
        found += [part.strip(" ()") for part in bare.split(", ") if "(Unnamed Layer*" not in part]
    return [part for part in found if part]


def is_copy(name):
    """Whether a layer only changes the form of a tensor."""
    return bool(_COPY.match(name))


def output_values(text):
    """``(dims, values)`` of the first output of ``--exportOutput``."""
    try:
        first = _json(text, "output")[0]
        dims = [int(size) for size in str(first["dimensions"]).split("x")]
        return dims, [float(number) for number in first["values"]]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Unreadable("the exported output has an unknown form (%s)" % error)


def _json(text, what):
    try:
        return json.loads(text)
    except ValueError as error:
        raise Unreadable("the exported %s are no JSON (%s)" % (what, error))


def effective(told, graph, batch_size, precision, release):
    """``(effective precision, notes)`` by an engine's description of its layers; as asked, and said so, where the release does not tell.

    told: what ``layer_facts`` reads. graph: the network's. release: in words, for the note.
    """
    facts, precisions = layer_facts(told), layer_precisions(told)
    if not precisions:
        return precision, [[int8_nodes.NOTE, "not told by TensorRT %s" % release]]
    ran = {}
    for name, ran_in in precisions.items():
        for node in onnx_reader.node_names(sources(name, facts.get(name, ("", []))[1]), graph):
            ran[node] = ran_in
    found, notes = int8_nodes.told(graph, batch_size, ran)
    return (BEST if precision == BEST else found), notes
