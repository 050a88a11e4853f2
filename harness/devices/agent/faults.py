"""What a runtime raises when a request cannot be met; ``kind`` is the host's name for it."""


class Refused(Exception):
    """The runtime could not read, compile or run this model."""

    kind = "ModelRefused"


class Unavailable(Exception):
    """The runtime or its hardware is not there."""

    kind = "DeviceUnavailable"


class Unusable(Exception):
    """An option has a form that this runtime does not know."""

    kind = "UsageError"
