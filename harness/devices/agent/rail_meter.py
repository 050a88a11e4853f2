"""Joules of a board's input rail around timed inferences that run in the agent itself: a thread reads watts meanwhile."""

import threading
import time

import tegra_state

PERIOD_S = 0.05


class Rail:
    """A meter of ``timed_loop``: ``counts`` begins to read, and ends it; what it gives are the readings so far."""

    def __init__(self, rail):
        self.rail, self.name = rail, "ina3221 " + rail
        self.over, self.thread, self.readings = None, None, []

    def counts(self):
        """Begin to read and give the moment; asked again, end and give the moment with the readings between."""
        moment = time.perf_counter()
        if self.thread is None:
            self.readings, self.over = [], threading.Event()
            self.thread = threading.Thread(target=self._read)
            self.thread.daemon = True
            self.thread.start()
            return moment, []
        self.over.set()
        self.thread.join()
        self.thread = None
        return moment, self.readings

    def joules(self, before, after):
        """Between two ``counts``; None without a reading."""
        return tegra_state.energy_j(after[1], after[0], after[0] - before[0])

    def _read(self):
        while not self.over.wait(PERIOD_S):
            watts = dict(tegra_state.rails_w()).get(self.rail)
            if watts is not None:
                self.readings.append((time.perf_counter(), watts))


def here():
    """The board's input rail as a meter, or None."""
    rail = tegra_state.total_rail()
    return Rail(rail) if rail else None
