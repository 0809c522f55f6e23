"""Any image CVAT can hold becomes upright 8-bit RGB, and what is no image is said to be none."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from trainer.data.images import MAX_PIXELS, decode, from_pillow
from trainer.errors import ImageError


def encoded(image: Image.Image, form: str = "PNG", **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return buffer.getvalue()


def gradient(height: int = 20, width: int = 30) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 8, y * 12, (x + y) * 5], axis=-1).astype(np.uint8)


def test_rgb_png_comes_back_as_it_was():
    assert np.array_equal(decode(encoded(Image.fromarray(gradient()))), gradient())


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16", "CMYK"])
def test_what_pillow_opened_is_seen_as_its_bytes_are(mode):
    image = Image.fromarray(gradient())
    image = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    data = encoded(image, "TIFF")

    assert np.array_equal(from_pillow(Image.open(io.BytesIO(data))), decode(data))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_quick_jpeg_equals_pillow(mode, subsampling):
    """The quick way may not change a single pixel."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (61, 83, 3), np.uint8)).convert(mode)
    data = encoded(picture, "JPEG", quality=80, subsampling=subsampling)

    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    assert np.array_equal(decode(data), expected)


def test_alpha_is_dropped():
    rgba = np.dstack([gradient(), np.full((20, 30), 10, np.uint8)])

    assert np.array_equal(decode(encoded(Image.fromarray(rgba))), gradient())


def test_palette_and_its_transparency():
    picture = Image.fromarray(gradient()).quantize(16)
    expected = np.asarray(picture.convert("RGB"))

    assert np.array_equal(decode(encoded(picture)), expected)
    assert np.array_equal(decode(encoded(picture, transparency=3)), expected)


def test_cmyk_jpeg():
    picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))

    pixels = decode(encoded(picture, "JPEG", quality=95))

    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.mean(axis=(0, 1)) - [255, 0, 0]).max() < 6


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_gray_is_stretched(form):
    """A picture that uses a small part of 16 bits is as visible as in CVAT, not black."""
    values = np.linspace(1000, 1400, 600).reshape(20, 30).astype(np.uint16)

    pixels = decode(encoded(Image.fromarray(values), form))

    assert pixels.shape == (20, 30, 3)
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[-1, -1].min() > 240
    assert np.all(np.diff(pixels[..., 0].ravel().astype(int)) >= 0)


def test_16_bit_constant_gray_and_float():
    assert decode(encoded(Image.fromarray(np.full((4, 4), 900, np.uint16)))).max() == 0
    ramp = np.linspace(-2, 5, 16, dtype=np.float32).reshape(4, 4)
    assert decode(encoded(Image.fromarray(ramp), "TIFF"))[-1, -1, 0] > 200


def test_float_that_is_not_finite():
    values = np.full((4, 4), np.nan, np.float32)
    with pytest.raises(ImageError, match="no finite value"):
        decode(encoded(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_exif_rotation_is_applied(form):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise to be upright
    block = np.zeros((16, 32, 3), np.uint8)
    block[:8, :8] = 255  # top left as stored, top right when upright
    data = encoded(Image.fromarray(block), form, exif=exif)

    upright = decode(data)

    assert upright.shape == (32, 16, 3)
    assert upright[2, 13].min() > 200
    assert upright[2, 2].max() < 60
    assert decode(data, upright=False).shape == (16, 32, 3)


def test_a_float_picture_with_holes_is_seen_around_them():
    values = np.linspace(-2, 5, 64, dtype=np.float32).reshape(8, 8)
    values[0, :3] = np.nan, np.inf, -np.inf

    pixels = decode(encoded(Image.fromarray(values), "TIFF"))

    assert pixels[0, 0, 0] == 0 and pixels[0, 1, 0] > 240 and pixels[-1, -1, 0] > 240


@pytest.mark.parametrize("kept", [-2, 0.9, 0.5])
@pytest.mark.parametrize(
    ("form", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB")]
)
def test_a_cut_off_file_is_seen_as_far_as_it_goes(form, mode, kept):
    """CVAT shows such frames and people label them."""
    rng = np.random.default_rng(0)
    whole = Image.fromarray(rng.integers(0, 255, (64, 96, 3), np.uint8)).convert(mode)
    data = encoded(whole, form)
    cut = data[:kept] if kept == -2 else data[: int(len(data) * kept)]

    pixels = decode(cut)

    assert pixels.shape == (64, 96, 3)
    assert np.array_equal(pixels[:8], decode(data)[:8])


@pytest.mark.parametrize("form", ["BMP", "TIFF", "WEBP"])
def test_a_cut_off_file_of_another_form_is_seen_or_told(form):
    rng = np.random.default_rng(0)
    data = encoded(Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)), form)
    with contextlib.suppress(ImageError):
        assert decode(data[: len(data) // 2]).shape == (64, 64, 3)


@pytest.mark.parametrize(("endian", "order"), [("<", "II"), (">", "MM")])
@pytest.mark.parametrize(("kind", "form"), [("u2", 1), ("i2", 2), ("i4", 2), ("f4", 3)])
def test_deep_tiffs_of_both_byte_orders_are_seen_alike(endian, order, kind, form):
    values = np.linspace(1000, 1400, 600).reshape(20, 30).astype(endian + kind)

    pixels = decode(a_tiff(values, endian, order, form))

    assert pixels[0, 0, 0] == 0 and pixels[-1, -1, 0] > 240
    assert np.all(np.diff(pixels[..., 0].ravel().astype(int)) >= 0)


def a_tiff(values: np.ndarray, endian: str, order: str, form: int) -> bytes:
    """Write gray values as an uncompressed TIFF. form: 1 unsigned, 2 signed, 3 float."""
    rows, columns = values.shape
    tags = [(256, columns), (257, rows), (258, values.itemsize * 8), (259, 1), (262, 1)]
    tags += [(273, 8 + 2 + 12 * 10 + 4), (277, 1), (278, rows), (279, values.nbytes), (339, form)]
    head = order.encode() + struct.pack(endian + "HIH", 42, 8, len(tags))
    listed = b"".join(struct.pack(endian + "HHII", tag, 4, 1, value) for tag, value in tags)
    return head + listed + struct.pack(endian + "I", 0) + values.tobytes()


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8\xff\xe0garbage", b"\x89PNG\r\n"])
def test_no_image_is_an_error(data):
    with pytest.raises(ImageError):
        decode(data)


def test_a_png_with_a_damaged_middle_is_seen_as_cvat_shows_it():
    rng = np.random.default_rng(0)
    data = bytearray(encoded(Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8))))
    data[len(data) // 2] ^= 0xFF

    assert decode(bytes(data)).shape == (64, 64, 3)


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + b"\0\0\0\0"


@pytest.mark.parametrize("side", [13_000, 60_000])
def test_more_pixels_than_the_limit_is_an_error_before_decoding(side):
    with pytest.raises(ImageError, match=f"{MAX_PIXELS / 1e6:.0f} MP"):
        decode(png_header(side, side))


def test_100_megapixels_are_read_without_a_warning():
    """Larger than what makes Pillow speak of a bomb."""
    data = encoded(Image.new("L", (10_000, 10_000), 255), "JPEG")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = decode(data)

    assert pixels.shape == (10_000, 10_000, 3)
    assert pixels[-1, -1].tolist() == [255, 255, 255]
