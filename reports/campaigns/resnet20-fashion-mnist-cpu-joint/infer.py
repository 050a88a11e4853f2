"""Which class a picture is of: ``python infer.py PICTURE [PICTURE ...]``, with numpy, Pillow and onnxruntime or openvino.

Takes ``model.onnx`` and ``config.json`` beside it, which says under "preprocessing" how a picture becomes the network's input.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
WAY = json.loads((HERE / "config.json").read_text(encoding="utf-8"))["preprocessing"]
CHANNELS, HEIGHT, WIDTH = WAY["input_shape"]
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LONGEST = 256  # times the shorter side; of longer pictures only the middle is looked at


def in_8_bits(image):
    """As it is, or a picture of more than 8 bits of grey in 8, by what was taken for white."""
    values = np.asarray(image)
    if image.mode == "F":
        return Image.fromarray(np.rint(np.clip(values, 0, WAY["white"]) * (255 / WAY["white"])).astype(np.uint8))
    if image.mode.startswith("I"):
        white = int(WAY["white"])
        return Image.fromarray((np.clip(values.astype(np.int64), 0, white) >> (white.bit_length() - 8)).astype(np.uint8))
    return image


def centre(image, width, height):
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def scaled(image):
    """In the size before the centre is cut out."""
    across, down = image.size
    if WAY["resize"] == "cover":
        scale = max(WIDTH / across, HEIGHT / down)
        return max(WIDTH, round(across * scale)), max(HEIGHT, round(down * scale))
    if WAY["resize"] == "margin":
        scale = min(1.0, WIDTH / across, HEIGHT / down)
        return min(WIDTH, max(1, round(across * scale))), min(HEIGHT, max(1, round(down * scale)))
    tall, _, wide = WAY["resize"].partition("x")
    if wide:
        return int(wide), int(tall)
    longer = int(int(tall) * max(across, down) / min(across, down))
    return (int(tall), longer) if across <= down else (longer, int(tall))


def of_size(image):
    """One picture, or one band of it, HEIGHT high and WIDTH wide."""
    shorter = min(image.size)
    if max(image.size) > LONGEST * shorter:
        image = centre(image, *(min(length, LONGEST * shorter) for length in image.size))
    size = scaled(image)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    if WAY["resize"] == "margin":
        framed = Image.new(image.mode, (WIDTH, HEIGHT))
        framed.paste(image, ((WIDTH - image.width) // 2, (HEIGHT - image.height) // 2))
        return framed
    if WAY["resize"] == "cover":
        return centre(image, WIDTH, HEIGHT)
    left, top = round((image.width - WIDTH) / 2), round((image.height - HEIGHT) / 2)
    return image.crop((left, top, left + WIDTH, top + HEIGHT))


def prepared(path):
    """The network's input, 1 x channels x height x width, float32."""
    with Image.open(path) as opened:
        image = in_8_bits(opened)
        image = image.convert("RGB") if CHANNELS == 4 and image.mode == "CMYK" else image
        image = image.convert(MODES[CHANNELS])
    bands = image.split() if CHANNELS == 4 else (image,)
    pixels = np.stack([np.asarray(of_size(band)) for band in bands]) if CHANNELS != 3 else np.asarray(of_size(image)).transpose(2, 0, 1)
    scale = np.array([1 / (255 * std) for std in WAY["std"]], np.float32)[:, None, None]
    shift = np.array([mean / std for mean, std in zip(WAY["mean"], WAY["std"])], np.float32)[:, None, None]
    return (pixels.astype(np.float32) * scale - shift)[None]


def network():
    """Function: input to logits."""
    try:
        import onnxruntime

        session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda images: session.run(None, {name: images})[0]
    except ImportError:
        import openvino

        compiled = openvino.Core().compile_model(HERE / "model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda images: compiled(images)[0]


def main(paths):
    if not paths:
        sys.exit("give the pictures to look at: python infer.py PICTURE [PICTURE ...]")
    answer = network()
    for path in paths:
        logits = answer(prepared(path))[0].astype(np.float64)
        chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        best = int(chances.argmax())
        print(f"{path}: {WAY['classes'][best]} {chances[best]:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
