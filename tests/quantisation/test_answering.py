"""Which devices' INT8 networks answer alike, so that what one campaign judged holds for another."""

from harness.quantisation.answering import answer_alike


def test_what_takes_signed_activations_only_answers_otherwise() -> None:
    assert answer_alike("cpu", "cpu")
    assert answer_alike("cpu", "simulated"), "both are judged by the host's arithmetic, quantised alike"
    assert not answer_alike("cpu", "jetson")
    assert not answer_alike("cpu", "a device that nobody has set up")
