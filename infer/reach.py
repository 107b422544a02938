"""What a network needs around each pixel, and what memory: read from its graph, not from a run.

Walking the layers gives the scale, the receptive field's radius (so that tiles know how much of
their neighbours to read), the multiple that picture sizes must have, and the bytes that live at
once for each pixel. A layer this file does not know may look anywhere: the radius is then None.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import keras

_POINTWISE = (
    frozenset(["Identity", "Rescaling", "Dropout"])
    | frozenset(["Activation", "ReLU", "Relu", "LeakyReLU", "PReLU", "ELU", "GELU", "Gelu", "Tanh"])
    | frozenset(["Sigmoid", "Softplus", "Clip", "Cast", "BatchNormalization", "LayerNormalization"])
    | frozenset(["Add", "Subtract", "Multiply", "Divide", "Average", "Maximum", "Minimum"])
    | frozenset(["Concatenate", "Split", "Dense"])
)
_CONVOLUTIONS = frozenset(["Conv2D", "DepthwiseConv2D", "SeparableConv2D", "WeightNormConv2D"])
_PADDING = "PadToMultiple"  # a layer that makes any size fit
_PROBE_PX = 48
_HALF_BYTES = 2  # of a number in half precision
_INTERPOLATION_TAPS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}


@dataclass(frozen=True)
class Reach:
    """How a network's output depends on its picture.

    Attributes:
        scale: Pixels of the output per pixel of the picture, along one side.
        radius_px: A pixel of the output depends on no picture pixel further away, in rows or
            columns, than this. None: it may depend on all.
        multiple: Height and width must be multiples of this.
        bytes_per_px: Most bytes of features alive at once, per picture pixel.
    """

    scale: int
    radius_px: int | None
    multiple: int
    bytes_per_px: int


@dataclass(frozen=True)
class _Field:
    """Reach of one tensor: its pixels per picture pixel, and its radius (None: anywhere)."""

    factor: Fraction
    radius: Fraction | None

    def scaled(self, by):
        factor = self.factor * by
        if by > 1 or self.radius is None:
            return _Field(factor, self.radius)
        # a coarse pixel covers several fine ones: the furthest of them is that much further away
        return _Field(factor, self.radius + 1 / factor - 1 / self.factor)

    def widened(self, taps):
        if self.radius is None:
            return self
        return _Field(self.factor, self.radius + taps / self.factor)


def reach(model):
    """Walk a functional network from RGB to RGB.

    Args:
        model: The network; one input, one output.

    Returns:
        Its `Reach`.

    Raises:
        ValueError: It has more inputs or outputs, other channels, or no fixed whole scale.
    """
    _check(model)
    fields = _fields(model)
    last = fields[id(model.outputs[0])]
    if last.factor.denominator != 1:
        raise ValueError(f"the network must enlarge by a whole number, got {last.factor}")
    pads_itself = any(type(op).__name__ == _PADDING for op in model.operations)
    smallest = Fraction(1) if pads_itself else min(field.factor for field in fields.values())
    radius = None if last.radius is None else math.ceil(last.radius)
    return Reach(int(last.factor), radius, math.ceil(1 / smallest), _peak_bytes(model, fields))


def _check(model):
    if not hasattr(model, "operations") or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError("needs a functional network with one input and one output")
    channels = (model.inputs[0].shape[-1], model.outputs[0].shape[-1])
    if channels != (3, 3) or len(model.outputs[0].shape) != 4:
        raise ValueError(f"needs a network from RGB to RGB pictures, got channels {channels}")
    if model.inputs[0].shape[1:3] != (None, None):
        raise ValueError(f"needs a network for any size, got {model.inputs[0].shape[1:3]}")


def _fields(model):
    """The field of each tensor of the graph, by the tensor's id."""
    fields = {id(model.inputs[0]): _Field(Fraction(1), Fraction(0))}
    probed = {}
    for operation in _after_input(model):
        before = _merged([fields[id(t)] for t in _tensors(operation.input)])
        after = _through(operation, before)
        if after is None:
            probed = probed or _probed_factors(model)
            after = _Field(probed[id(_tensors(operation.output)[0])] or before.factor, None)
        fields |= {id(t): after for t in _tensors(operation.output)}
    return fields


def _after_input(model):
    return [op for op in model.operations if not isinstance(op, keras.layers.InputLayer)]


def _tensors(structure):
    """The tensors of an operation's input or output: one, or a list of them."""
    return list(structure) if isinstance(structure, (list, tuple)) else [structure]


def _merged(sources):
    radii = [source.radius for source in sources]
    radius = None if None in radii else max(radii)
    return _Field(max(source.factor for source in sources), radius)


def _through(operation, field):
    """The field after an operation; None: not known."""
    kind = type(operation).__name__
    if kind in _POINTWISE or hasattr(operation, "pointwise"):  # Keras' layers, and ours
        return field
    if kind in _CONVOLUTIONS:
        return _convolved(operation, field)
    if kind == "PixelShuffle":
        return field.scaled(Fraction(operation.scale))
    if kind == "PixelUnshuffle":
        return field.scaled(Fraction(1, operation.scale))
    if kind == "Upscale":  # bicubic
        return field.widened(Fraction(2)).scaled(Fraction(operation.scale))
    if kind == "UpSampling2D":
        taps = Fraction(_INTERPOLATION_TAPS[operation.interpolation])
        return field.widened(taps).scaled(Fraction(operation.size[0]))
    return None


def _convolved(layer, field):
    kernel_px, stride, dilation = (
        _first(getattr(layer, name, 1)) for name in ("kernel_size", "strides", "dilation_rate")
    )
    return field.widened(Fraction(kernel_px // 2 * dilation)).scaled(Fraction(1, stride))


def _first(value):
    return value[0] if isinstance(value, (list, tuple)) else value


def _probed_factors(model):
    """Pixels per picture pixel of each tensor, from the shapes a picture would have; or None."""
    tensors = [t for op in _after_input(model) for t in _tensors(op.output)]
    probe = keras.KerasTensor((1, _PROBE_PX, _PROBE_PX, 3))
    specs = keras.Function(model.inputs, tensors).compute_output_spec([probe])
    sides = [spec.shape[1] if len(spec.shape) == 4 else None for spec in specs]
    factors = [Fraction(side, _PROBE_PX) if side and side > 1 else None for side in sides]
    return {id(tensor): factor for tensor, factor in zip(tensors, factors, strict=True)}


def _peak_bytes(model, fields):
    """Most bytes alive at once per picture pixel: each tensor lives until its last reader ran."""
    operations = _after_input(model)
    last_reader = {id(t): n for n, op in enumerate(operations) for t in _tensors(op.input)}
    alive, number_bytes, peak = {}, {}, 0
    for number, operation in enumerate(operations):
        width = _HALF_BYTES if "16" in getattr(operation, "compute_dtype", "") else 4

        def size(tensor, width=width):
            channels = tensor.shape[-1] if len(tensor.shape) == 4 else 0
            return width * channels * float(fields[id(tensor)].factor) ** 2

        read = {id(t): t for t in _tensors(operation.input)}
        cast = sum(size(t) for key, t in read.items() if number_bytes.get(key, width) != width)
        for tensor in _tensors(operation.output):
            alive[id(tensor)], number_bytes[id(tensor)] = size(tensor), width
        peak = max(peak, sum(alive.values()) + cast)
        alive = {key: v for key, v in alive.items() if last_reader.get(key, -1) > number}
    return math.ceil(peak)
