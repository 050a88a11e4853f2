"""Stands in for TensorRT's Python package of one release, on any Python from 3.6 and without numpy: true outputs, made-up times.

STAND_IN_TENSORRT names the release. What its record (``recorded.json``, of the real package) does not have is taken away here, and every
call is held to the recorded arguments, so that an agent that runs against this calls nothing that the real one lacks. Memory, streams and
events are those of the stand-in of CUDA (STAND_IN_CUDART). ``plan`` holds the faults to commit: ``{"Class.member": how}``.
"""

from tensorrt import building, running
from tensorrt.held import hold
from tensorrt.release import CUDART as CUDART
from tensorrt.release import ENUMS, VERSION
from tensorrt.release import plan as plan

__version__ = VERSION
_found = [kind for part in (building, running) for kind in vars(part).values() if getattr(kind, "__module__", "") == part.__name__]
globals().update({name: kind for name, kind in ENUMS.items() if "." not in name})
globals().update(hold(_found))
