"""The size of an image as its header declares it, of formats in which that is found without decoding.

Decoders allocate for what a header declares before they look whether the image has that much. Sources: PNG (IHDR),
JPEG and JPEG-LS (the frame header, ITU-T T.81 B.2.2 and T.87 C.2.2), JPEG 2000 (SIZ, ITU-T T.800 A.5.1), GIF89a, BMP
(BITMAPINFOHEADER), QOI, WebP (RFC 9649), and the box `ispe` of HEIF and AVIF (ISO/IEC 23008-12).
"""

from __future__ import annotations

_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # markers of JPEG before the header of a frame
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}  # markers of JPEG


def declared_size(image: bytes) -> tuple[int, int] | None:
    """Width and height that a header declares, in pixels; None where the format is another one, or has none.

    Parameters
    ----------
    image
        The bytes of an image; they may be damaged.

    Examples
    --------
    >>> from gpuzarr.formats.image_header import declared_size
    >>> declared_size(b"qoif" + bytes([0, 0, 1, 0]) + bytes([0, 0, 0, 9]) + bytes([3, 0]))
    (256, 9)
    """
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return _big(image, 16, 4), _big(image, 20, 4)
    if image.startswith(b"qoif"):
        return _big(image, 4, 4), _big(image, 8, 4)
    if image.startswith(b"GIF8"):
        return _little(image, 6, 2), _little(image, 8, 2)
    if image.startswith(b"BM"):
        width, height = (int.from_bytes(image[at : at + 4], "little", signed=True) for at in (18, 22))
        return abs(width), abs(height)
    if image.startswith(b"RIFF") and image[8:12] == b"WEBP":
        return _of_webp(image)
    if image.startswith(b"\xff\xd8"):
        return _of_jpeg(image)
    if (at := image.find(b"\xff\x4f\xff\x51")) >= 0 and (not at or image[4:8] == b"jP  "):
        return _big(image, at + 8, 4), _big(image, at + 12, 4)
    if image[4:8] == b"ftyp" and (at := image.find(b"ispe")) >= 0:
        return _big(image, at + 8, 4), _big(image, at + 12, 4)
    return None


def _big(data: bytes, at: int, nbytes: int) -> int:
    return int.from_bytes(data[at : at + nbytes], "big")


def _little(data: bytes, at: int, nbytes: int) -> int:
    return int.from_bytes(data[at : at + nbytes], "little")


def _of_webp(image: bytes) -> tuple[int, int] | None:
    if image[12:16] == b"VP8X":
        return _little(image, 24, 3) + 1, _little(image, 27, 3) + 1
    if image[12:16] == b"VP8L":
        bits = _little(image, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _little(image, 26, 2) & 0x3FFF, _little(image, 28, 2) & 0x3FFF


def _of_jpeg(image: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 4 <= len(image):
        if image[at] != 0xFF:
            return None
        marker = image[at + 1]
        if marker == 0xFF:  # a byte of padding
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker in _FRAMES:
            return _big(image, at + 7, 2), _big(image, at + 5, 2)
        elif marker in (0xD9, 0xDA):  # the end, or the samples, without a header before them
            return None
        else:
            at += 2 + max(2, _big(image, at + 2, 2))
    return None
