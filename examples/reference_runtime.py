"""A device of your own by example: the onnx package's reference evaluator, slow and real, on this machine or any with ``onnx``.

Copy this file and replace what it does with onnx. It is shipped to the device as it is: Python 3.6 and newer, the standard
library, the runtime itself, and the modules beside ``harness/devices/agent/serve.py``, of which it uses three. Then

    [tool.espalier.devices.reference]            # in pyproject.toml
    runtime = "examples/reference_runtime.py"    # and host = "NAME" for another machine

and ``pytest bench/ --device=reference``. ``tests/devices/agent/test_example.py`` holds it to the contract of every device.
"""

import faults
import onnx_reader
import timed_loop

try:
    import numpy
    import onnx
    from onnx.reference import ReferenceEvaluator
except ImportError as error:
    raise faults.Unavailable("this interpreter cannot import onnx (%s); install it: pip install onnx" % error)


class Runtime:
    """options: what stands under ``options`` of the device's table; this runtime has none."""

    def __init__(self, options):
        if options:
            raise faults.Unusable("the reference evaluator has no option %r; leave options out" % sorted(options)[0])

    def describe(self):
        """Who the device is; ``details`` are further pairs of texts. A ``snapshot`` method may tell clocks and temperatures."""
        return {"runtime_version": onnx.__version__, "model": "onnx reference evaluator", "details": []}

    def load(self, model, wanted):
        """The network, ready to run; ``wanted`` holds name, precision, profile, batch_size. Refused says what cannot be met."""
        if wanted["precision"] != "f32":
            raise faults.Refused("the reference evaluator computes in f32 only, not in %s" % wanted["precision"])
        try:
            graph = onnx_reader.read(model)
            evaluator = ReferenceEvaluator(onnx.load_model_from_string(model))
        except Exception as error:  # onnx raises what its protocol buffers raise
            raise faults.Refused("onnx cannot read the model: %s" % " ".join(str(error).split()))
        if graph.inputs[0][1][0] != wanted["batch_size"]:
            raise faults.Refused("the model is of batch size %d; export it at %d" % (graph.inputs[0][1][0], wanted["batch_size"]))
        return Model(evaluator, graph)


class Model:
    """One loaded network."""

    def __init__(self, evaluator, graph):
        self.evaluator, self.graph = evaluator, graph
        self.input, self.shape = graph.inputs[0]
        self.images = numpy.random.RandomState(0).standard_normal(self.shape).astype(numpy.float32)

    def first_inference(self):
        """Seconds of the first inference after loading."""
        return timed_loop.time_once(self._run)

    def facts(self):
        """What the runtime made of the wishes."""
        return {"effective_precision": "f32", "threads": 1, "streams": 1, "batch_size": self.shape[0]}

    def infer(self, timing):
        """Timed inferences in a tight loop; ``witness``: they run on the calling thread, so its processor time says something."""
        return timed_loop.run(self._run, timing, witness=True)

    def outputs(self, shape, values):
        """``(shape, bytes)`` of the float32 output for any number of images."""
        images, found = numpy.frombuffer(values, dtype=numpy.float32).reshape(shape), []
        for start in range(0, len(images), self.shape[0]):
            part = images[start : start + self.shape[0]]
            filled = numpy.concatenate([part, numpy.zeros((self.shape[0] - len(part),) + part.shape[1:], numpy.float32)])
            found.append(self.evaluator.run(None, {self.input: filled})[0][: len(part)])
        everything = numpy.concatenate(found).astype(numpy.float32)
        return everything.shape, everything.tobytes()

    def profile(self, inferences):
        """Mean seconds of every node; ``sources`` are the ONNX nodes that it stands for, from which its layers are found."""
        totals = [0.0] * len(self.graph.nodes)
        for _ in range(max(inferences, 20)):
            tensors = dict(self.evaluator.rt_inits_, **{self.input: self.images})
            for number, node in enumerate(self.evaluator.rt_nodes_):
                arguments, made = [tensors[name] for name in node.input], []
                totals[number] += timed_loop.time_once(lambda: made.extend(node.run(*arguments)))  # noqa: B023
                tensors.update(zip(node.output, made))
        nodes = zip(self.graph.nodes, totals)
        return [{"node": one.name, "kind": one.op, "seconds": total / max(inferences, 20), "sources": [one.name]} for one, total in nodes]

    def unload(self):
        """Free the network."""
        self.evaluator = None

    def _run(self):
        self.evaluator.run(None, {self.input: self.images})
