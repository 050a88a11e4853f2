"""Whether the device is there and answers: run this first on a new one."""


def test_the_device_says_what_it_is(device):
    """Its identity, and one look at its state."""
    assert device.info.model
    assert device.info.runtime_version
    assert device.snapshot().taken_at
