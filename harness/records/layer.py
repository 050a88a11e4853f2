"""The shape of one layer: the key under which its latency is known."""

from __future__ import annotations

from dataclasses import dataclass

BYTES_PER_VALUE = {"f32": 4, "bf16": 2, "f16": 2, "int8": 1}


@dataclass(frozen=True, slots=True, order=True)
class ConvShape:
    """A two-dimensional convolution on one input map.

    Sizes are ``(height, width)``; channels count values per position; ``groups`` is 1 for a plain convolution and equals
    ``in_channels`` for a depthwise one.
    """

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    input_size: tuple[int, int]

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output map."""
        height, width = (
            (side + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for side, pad, dilation, kernel, stride in zip(
                self.input_size, self.padding, self.dilation, self.kernel_size, self.stride, strict=True
            )
        )
        return height, width

    @property
    def weight_count(self) -> int:
        """Number of weights, without a bias."""
        return self.out_channels * (self.in_channels // self.groups) * self.kernel_size[0] * self.kernel_size[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        height, width = self.output_size
        return self.weight_count * height * width

    def traffic_bytes(self, precision: str = "f32") -> int:
        """Bytes of weights, input and output, each moved once."""
        height, width = self.output_size
        values = self.weight_count + self.in_channels * self.input_size[0] * self.input_size[1] + self.out_channels * height * width
        return values * BYTES_PER_VALUE[precision]

    @property
    def key(self) -> str:
        """A readable, stable key, equal for equal shapes."""
        groups = f"g{self.groups}" if self.groups > 1 else ""
        dilation = f"d{_size(self.dilation)}" if self.dilation != (1, 1) else ""
        return (
            f"conv{_size(self.kernel_size)}s{_size(self.stride)}p{_size(self.padding)}{dilation}{groups}"
            f"-{self.in_channels}x{_size(self.input_size)}-{self.out_channels}"
        )


@dataclass(frozen=True, slots=True, order=True)
class LinearShape:
    """A fully connected layer; ``positions`` counts the vectors of one image that it is applied to."""

    in_features: int
    out_features: int
    positions: int = 1

    @property
    def weight_count(self) -> int:
        """Number of weights, without a bias."""
        return self.in_features * self.out_features

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.weight_count * self.positions

    def traffic_bytes(self, precision: str = "f32") -> int:
        """Bytes of weights, input and output, each moved once."""
        return (self.weight_count + self.positions * (self.in_features + self.out_features)) * BYTES_PER_VALUE[precision]

    @property
    def key(self) -> str:
        """A readable, stable key, equal for equal shapes."""
        return f"linear-{self.in_features}-{self.out_features}" + (f"x{self.positions}" if self.positions > 1 else "")


LayerShape = ConvShape | LinearShape


def _size(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"
