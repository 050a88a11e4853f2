"""Inferences one after the other, each with its own clock readings, and nothing else in between."""

import array
import gc
import time

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # not Linux
    RUSAGE_THREAD, getrusage = None, None

STEADY_RATIO = 0.02  # two neighbouring windows of the warm-up whose medians differ less than this are steady
WARM_UP_WINDOW = 10
WARM_UP_LIMIT = 10  # times the wished duration; a device that drifts for longer is measured as it is, and told

if hasattr(time, "perf_counter_ns"):
    wall_ns, cpu_ns = time.perf_counter_ns, time.thread_time_ns
else:  # Python 3.6

    def wall_ns():
        return int(time.perf_counter() * 1e9)

    def cpu_ns():
        return int(time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) * 1e9)


class Samples:
    """wall, cpu: nanoseconds per inference (cpu empty where it says nothing); preempted: 1 where the thread lost its processor."""

    def __init__(self):
        self.wall, self.cpu, self.preempted = array.array("q"), array.array("q"), array.array("b")


def time_once(call):
    """Seconds of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def warm_up(call, duration_s, count):
    """Call until at least ``duration_s`` and ``count`` calls have passed and the medians of two windows agree.

    Returns ``{"warmup_s", "warmup_inferences", "steady"}``; gives up on steadiness after ``WARM_UP_LIMIT`` durations.
    """
    begin, times = time.perf_counter(), []
    while True:
        passed = time.perf_counter() - begin
        enough = len(times) >= count and passed >= duration_s
        if enough and (duration_s == 0 or passed >= WARM_UP_LIMIT * duration_s or _steady(times)):
            return {"warmup_s": passed, "warmup_inferences": len(times), "steady": _steady(times)}
        times.append(time_once(call))


def run(call, timing, witness, meter=None):
    """Warm up, then time ``call``: at least ``timing["rounds"]`` times and ``timing["min_s"]`` seconds.

    timing["pace_s"]: seconds between the starts of two inferences, 0 for as fast as possible. witness: whether the
    inference runs on the calling thread, so that its processor time and its preemptions are those of the inference.
    meter: of ``meters``, read around the timed inferences, not the warm-up; None for none.
    Returns ``(Samples, facts of the warm-up)``, and among these ``energy_j`` where a meter told it.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        facts = warm_up(call, timing["warmup_s"], timing["warmup_rounds"])
        before = meter.counts() if meter else None
        samples = _paced(call, timing) if timing["pace_s"] else _tight(call, timing["rounds"], timing["min_s"], witness)
        spent_j = meter.joules(before, meter.counts()) if meter else None
        facts.update({} if spent_j is None else {"energy_j": spent_j})
    finally:
        if collecting:
            gc.enable()
    return samples, facts


def flow(start, timing):
    """``[[inferences, seconds], ...]`` of ``timing["blocks"]`` blocks, each of at least ``timing["rounds"]`` and ``timing["min_s"]``.

    start: begins one inference, and waits for one to end where as many as may are on their way. After ``timing["in_flight"]`` of them
    every start means that one has ended, so that the streams are busy from the first block's beginning to the last one's end.
    """
    for _ in range(timing["in_flight"]):
        start()
    warm_up(start, timing["warmup_s"], timing["warmup_rounds"])
    blocks = []
    for _ in range(timing["blocks"]):
        count, begin = 0, wall_ns()
        end = begin + int(timing["min_s"] * 1e9)
        while count < timing["rounds"] or wall_ns() < end:
            start()
            count += 1
        blocks.append([count, (wall_ns() - begin) * 1e-9])
    return blocks


def _tight(call, rounds, min_s, witness):
    samples = Samples()
    wall, cpu, preempted = samples.wall.append, samples.cpu.append, samples.preempted.append
    end = wall_ns() + int(min_s * 1e9)
    done = 0
    witness = witness and getrusage is not None
    switches = getrusage(RUSAGE_THREAD).ru_nivcsw if witness else 0
    while done < rounds or wall_ns() < end:
        cpu_begin = cpu_ns() if witness else 0
        begin = wall_ns()
        call()
        finish = wall_ns()
        if witness:
            cpu(cpu_ns() - cpu_begin)
            now = getrusage(RUSAGE_THREAD).ru_nivcsw
            preempted(1 if now != switches else 0)
            switches = now
        wall(finish - begin)
        done += 1
    return samples


def _paced(call, timing):
    samples = Samples()
    pace_ns, end = int(timing["pace_s"] * 1e9), wall_ns() + int(timing["min_s"] * 1e9)
    due = wall_ns()
    while len(samples.wall) < timing["rounds"] or wall_ns() < end:
        due = max(due + pace_ns, wall_ns())  # a late inference delays the next ones, they do not pile up
        time.sleep(max(0.0, (due - wall_ns()) * 1e-9))
        begin = wall_ns()
        call()
        samples.wall.append(wall_ns() - begin)
    return samples


def _steady(times):
    if len(times) < 2 * WARM_UP_WINDOW:
        return False
    first = sorted(times[-2 * WARM_UP_WINDOW : -WARM_UP_WINDOW])[WARM_UP_WINDOW // 2]
    second = sorted(times[-WARM_UP_WINDOW:])[WARM_UP_WINDOW // 2]
    return abs(first - second) <= STEADY_RATIO * max(first, second)
