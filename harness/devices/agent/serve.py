"""The agent's loop: one request in, one answer out, until the host goes away.

This file is sent to the device and run there; it needs Python 3.6 or newer and its standard library, nothing of ours.
A frame is an 8-byte big-endian length, a JSON header of that length, then the blobs whose lengths ``header["blobs"]`` lists.
"""

import faulthandler
import hashlib
import importlib
import importlib.util
import json
import os
import platform
import queue
import struct
import sys
import threading
import time
import traceback

PREAMBLE = b"espalier agent 1\n"  # what stands before it on stdout (a login banner) is not ours
MAX_HEADER_BYTES = 64 << 20
WATCHDOG = os.fdopen(os.dup(2), "w")  # a runtime may silence the stderr of its libraries, not this


def encode(header, blobs=()):
    """A frame as a list of byte strings."""
    text = json.dumps(dict(header, blobs=[len(blob) for blob in blobs])).encode("utf-8")
    return [struct.pack(">Q", len(text)) + text] + list(blobs)


def read_frame(read):
    """One ``(header, blobs)`` by ``read(count)``; ValueError when the bytes are no frame."""
    (length,) = struct.unpack(">Q", read(8))
    if length > MAX_HEADER_BYTES:
        raise ValueError("a header of %d bytes" % length)
    header = json.loads(read(length).decode("utf-8"))
    return header, [read(size) for size in header.pop("blobs")]


class Shipped:
    """Imports modules from sources that came over the link."""

    def __init__(self):
        self.sources = {}

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in self.sources else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.sources[module.__name__], "<agent %s>" % module.__name__, "exec"), module.__dict__)


SHIPPED = Shipped()


class Desk:
    """Answers requests by name; holds the runtime and the models that are loaded."""

    def __init__(self):
        self.runtime = None
        self.models = {}
        self.next_model = 1
        self.lock = None

    def answer(self, header, blobs):
        """``(header, blobs)`` of the reply to one request."""
        method = getattr(self, "do_" + str(header.get("do")), None)
        if method is None:
            raise ValueError("unknown request %r" % (header.get("do"),))
        return method(header, blobs)

    def close(self):
        """Let the runtime tidy up."""
        if hasattr(self.runtime, "close"):
            self.runtime.close()

    def do_install(self, header, blobs):
        """Make the shipped sources importable; one whose digest differs is refused."""
        for number, (name, digest) in enumerate(header["modules"]):
            if hashlib.sha256(blobs[number]).hexdigest() != digest:
                raise ValueError("the source of %s arrived damaged" % name)
            SHIPPED.sources[name] = blobs[number]
        return {}, ()

    def do_lock(self, header, blobs):
        """Take the device for one host, or say who holds it."""
        import device_lock

        self.lock, holder = device_lock.take(header["resource"], header["who"])
        return {"held": self.lock is not None, "holder": holder}, ()

    def do_start(self, header, blobs):
        """Start the runtime and describe the device."""
        self.runtime = importlib.import_module(header["runtime"]).Runtime(header["options"])
        return {"device": self.runtime.describe()}, ()

    def do_rest(self, header, blobs):
        """Let the runtime put back what it changed on the device, before the goodbye that nobody waits for."""
        if hasattr(self.runtime, "rest"):
            self.runtime.rest()
        return {}, ()

    def do_snapshot(self, header, blobs):
        """The device's state now."""
        import board_state
        import host_state

        state = host_state.snapshot()
        board = board_state.snapshot()
        for key in ("clocks_mhz", "temperatures_c"):
            board[key] = board.get(key, []) + state[key]  # the firmware's first: cpufreq tells the clock that was asked for
        state.update(board)
        state.update(self.runtime.snapshot() if hasattr(self.runtime, "snapshot") else {})
        return {"snapshot": state}, ()

    def do_examine(self, header, blobs):
        """What decides whether this machine is fit to measure on."""
        import readiness

        return {"facts": readiness.examine(spin_s=header.get("spin_s", readiness.SPIN_S))}, ()

    def do_echo(self, header, blobs):
        """The blobs back, to measure the link."""
        return {}, blobs

    def do_load(self, header, blobs):
        """Read and compile a model; run it once."""
        import faults
        import host_state

        if header["wanted"].get("streams") and not getattr(self.runtime, "streams", False):
            raise faults.Unusable("this device's runtime runs one inference after the other; leave --streams out")
        host_state.reset_peak_memory()
        begin = time.perf_counter()
        model = self.runtime.load(blobs[0], header["wanted"])
        loaded = time.perf_counter()
        first_s = model.first_inference()
        number, self.next_model = self.next_model, self.next_model + 1
        self.models[number] = model
        facts = dict(model.facts(), model=number, first_inference_s=first_s)
        facts.setdefault("load_s", loaded - begin)  # a runtime that looks at a model before it loads it tells the loading alone
        alone = len(self.models) == 1  # the peak of several models says nothing of one
        facts.setdefault("peak_memory_bytes", host_state.peak_memory_bytes() if alone else None)
        return facts, ()

    def do_compile(self, header, blobs):
        """Compile for a device that need not be there."""
        import faults

        if not hasattr(self.runtime, "compile"):
            instead = "choose a device that does, such as ncs2, or leave --compile-only out"
            raise faults.Unusable("this device's runtime compiles nothing without running it; %s" % instead)
        begin = time.perf_counter()
        compiled = self.runtime.compile(blobs[0], header["wanted"])
        return dict(compiled, compile_s=time.perf_counter() - begin), ()

    def do_infer(self, header, blobs):
        """Warm up, then time inferences one by one; then a few of the canary, a network that tells the state of the machine."""
        model, canary = self._model(header), header.get("canary")
        begin_s = self._now_s()
        samples, facts = model.infer(header["timing"])
        facts = dict(facts, begin_s=begin_s)
        blobs = [samples.wall.tobytes(), samples.cpu.tobytes(), samples.preempted.tobytes()]
        if canary is not None:
            blobs.append(self._model(canary).infer(canary["timing"])[0].wall.tobytes())
        return facts, blobs

    def do_flow(self, header, blobs):
        """Count the inferences that end while several streams are kept busy, block by block."""
        return self._model(header).flow(header["timing"]), ()

    def do_outputs(self, header, blobs):
        """The network's output for every image of a batch."""
        import faults

        model = self._model(header)
        if not hasattr(model, "outputs"):
            raise faults.Unusable("this device's runtime answers no images, it only times them; judge accuracy on the host")
        shape, values = model.outputs(header["shape"], blobs[0])
        return {"shape": list(shape)}, [values]

    def do_profile(self, header, blobs):
        """Times of the compiled network's nodes over the inferences so far; none where the runtime tells none."""
        model = self._model(header)
        return {"nodes": (model.profile(header["inferences"]) or []) if hasattr(model, "profile") else []}, ()

    def do_unload(self, header, blobs):
        """Free a model."""
        self._model(header).unload()
        del self.models[header["model"]]
        return {}, ()

    def _now_s(self):
        """Seconds on the clock by which the device takes time, from any beginning."""
        return self.runtime.now_s() if hasattr(self.runtime, "now_s") else time.perf_counter()

    def _model(self, header):
        if header["model"] not in self.models:
            raise ValueError("model %r is not loaded" % header["model"])
        return self.models[header["model"]]


def serve(receive, send, desk=None):
    """Answer requests from ``receive()`` through ``send(header, blobs)`` until it gives None or the host says goodbye."""
    desk = desk or Desk()
    while True:
        frame = receive()
        if frame is None:
            return
        header, blobs = frame
        if header.get("do") == "bye":
            desk.close()
            send({"id": header.get("id")}, ())
            return
        faulthandler.dump_traceback_later(header["deadline_s"], exit=True, file=WATCHDOG)  # ends even a C call that holds the GIL
        try:
            reply, out = desk.answer(header, blobs)
        except Exception as error:  # the host decides what an error means; the agent stays up
            reply, out = {"error": describe_error(error)}, ()
        reply["id"] = header.get("id")
        send(reply, out)
        faulthandler.cancel_dump_traceback_later()
        del frame, blobs, out


def describe_error(error):
    """What the host needs to name an error: kind (one of ours, else empty), type, text, traceback."""
    text = str(error) or type(error).__name__
    return {
        "kind": getattr(error, "kind", ""),
        "type": type(error).__name__,
        "text": text,
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__))[-8000:],
    }


def hello():
    """Who answers."""
    return {
        "hello": 1,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "node": platform.node(),
        "pid": os.getpid(),
    }


def main():
    """Serve the host at the other end of stdin and stdout."""
    sys.meta_path.insert(0, SHIPPED)
    incoming = os.fdopen(os.dup(0), "rb", 1 << 20)
    outgoing = os.fdopen(os.dup(1), "wb", 1 << 20)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a child of the runtime cannot eat frames
    os.dup2(2, 1)  # what native libraries print goes to stderr
    requests = getattr(queue, "SimpleQueue", queue.Queue)()

    def read(count):
        found = incoming.read(count)
        if len(found) != count:
            os._exit(0)  # the host went away: end even while the main thread works
        return found

    def listen():
        while True:
            try:
                frame = read_frame(read)
            except (ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
                sys.stderr.write("the host sent no frame: %s\n" % error)
                sys.stderr.flush()
                os._exit(4)
            requests.put(frame)
            del frame

    def send(header, blobs):
        for part in encode(header, blobs):
            outgoing.write(part)
        outgoing.flush()

    listener = threading.Thread(target=listen)
    listener.daemon = True
    outgoing.write(PREAMBLE)
    send(hello(), ())
    listener.start()
    serve(requests.get, send)
    os._exit(0)  # no destructor of a runtime can hang or crash the way out


if __name__ == "__agent__":
    main()
