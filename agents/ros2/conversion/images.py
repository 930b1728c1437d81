"""sensor_msgs Image and CompressedImage to pixels.

Pixels are RGB bytes [H, W, 3]. Images must be undistorted (see ``camera_info.py``).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from diffdrive.contracts import InputError

from .raw_bytes import bytes_of

_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}
"""Which channel of a pixel is red, green and blue."""

_WIDTHS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
"""Bytes of a pixel. None has more than one byte a channel, so ``is_bigendian`` says nothing."""

MAX_PIXELS = 64_000_000
"""A compressed image that claims to be larger is not unpacked."""


def image_of(message: Any) -> np.ndarray:
    """[H, W, 3] uint8 of a sensor_msgs/Image; rows may be padded. rgb8 shares memory with the message.

    Raises ``InputError`` for other encodings, and where width, height, step and data do not fit each other.
    """
    encoding = str(message.encoding)
    if encoding not in _CHANNELS:
        raise InputError(
            f"Image encoding '{encoding}' is not supported, only {', '.join(_CHANNELS)}. "
            "Convert it before, e.g. with image_proc (debayer, resize) or cv_bridge."
        )
    height, width, step = int(message.height), int(message.width), int(message.step)
    pixel, data = _WIDTHS[encoding], bytes_of(message.data)
    if height < 1 or width < 1 or step < width * pixel or len(data) != height * step:
        raise InputError(
            f"An image of {width} x {height} pixels in {encoding} needs rows (step) of at least {width * pixel} bytes and "
            f"height times step bytes of data, got step {step} and {len(data)} bytes. Check the camera's driver."
        )
    pixels = data.reshape(height, step)[:, : width * pixel].reshape(height, width, pixel)
    return pixels if encoding == "rgb8" else np.ascontiguousarray(pixels[..., _CHANNELS[encoding]])


def compressed_image_of(message: Any) -> tuple[np.ndarray, bytes]:
    """[H, W, 3] uint8 of a sensor_msgs/CompressedImage, and the JPEG or PNG file that it holds.

    Its ``format`` is not looked at: the file says itself what it is. Raises ``InputError`` for other and damaged files.
    """
    from PIL import Image

    content = bytes_of(message.data).tobytes()
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise InputError(f"A compressed image of {picture.width} x {picture.height} pixels is not unpacked: too large.")
            if picture.mode not in ("RGB", "RGBA", "L"):
                raise InputError(f"A compressed image must hold 8-bit colour or grey, got Pillow's mode '{picture.mode}'.")
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"A compressed image of {len(content)} bytes (format '{message.format}') is no whole JPEG or PNG file: {error}. "
            "Check the image transport, or subscribe to the raw image."
        ) from error
    return pixels, content
