"""Small files that ask for much memory or work, or that lie: pictures and label maps."""

import struct
import zlib

from PIL import Image

from tests.encoded import encoded, noise

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF")
DEFLATED = zlib.compress(bytes(20_000_000), 9)  # 20 kB


def photo(form: str = "PNG") -> bytes:
    return encoded(noise(), form)


def animation(form: str) -> bytes:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:])


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Encode a chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def png(
    *extra: bytes,
    width: int = 4,
    height: int = 4,
    depth: int = 8,
    colour: int = 0,
    data: bytes = zlib.compress(bytes(1000)),
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", data), chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def gif(width: int, height: int, frame: tuple[int, int, int, int], before: bytes = b"") -> bytes:
    """Encode a GIF with one frame at (left, top, width, height)."""
    head = (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    )
    return head + before + b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02\x02\x44\x01\x00;"


def bmp(width: int, height: int, bits: int = 24, compression: int = 0, colours: int = 0) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + bytes(100)


def tiff(**differing: int) -> bytes:
    """Encode a TIFF of 10 x 10 grey pixels, with these tags, named t256 and so on, replaced."""
    tags = {"t256": 10, "t257": 10, "t258": 8, "t259": 1, "t262": 1, "t273": 8, "t277": 1}
    tags |= {"t278": 10, "t279": 100} | differing
    entries = [struct.pack("<HHII", int(tag[1:]), 4, 1, value) for tag, value in tags.items()]
    return b"II*\x00" + struct.pack("<IH", 8, len(tags)) + b"".join(entries) + bytes(40)


def tiff_of_tiles(count: int) -> bytes:
    """Encode tiles of one pixel each, with a list of all their offsets and sizes."""
    tags = {"t256": count, "t257": 1, "t258": 8, "t259": 1, "t262": 1, "t277": 1}
    entries = [struct.pack("<HHII", int(tag[1:]), 4, 1, value) for tag, value in tags.items()]
    entries += [struct.pack("<HHII", tag, 4, 1, 1) for tag in (322, 323)]
    entries += [struct.pack("<HHII", tag, 4, count, 8) for tag in (324, 325)]
    head = b"II*\x00" + struct.pack("<IH", 8, len(entries))
    return head + b"".join(entries) + bytes(4 + 4 * count)


def exif_of_fractions(count: int) -> bytes:
    """Encode a PNG with this many EXIF orientations, each a fraction."""
    entry = struct.pack("<HHII", 0x0112, 5, count, 8)
    exif = b"II*\x00" + struct.pack("<IH", 8, 1) + entry + bytes(4 + 8 * count)
    return encoded(Image.new("RGB", (8, 8)), "PNG", exif=exif)


def webp_canvas(width: int, height: int) -> bytes:
    """Encode an animation with a canvas of this size and no frame."""
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, 2) + sizes
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_with(segments: bytes) -> bytes:
    content = photo("JPEG")
    return content[:2] + segments + content[2:]


def jpeg_of_scans(count: int) -> bytes:
    content = encoded(Image.new("L", (512, 512)), "JPEG", progressive=True)
    scan = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + scan * count + b"\xff\xd9"


def exif_jpeg(exif: bytes) -> bytes:
    return jpeg_with(b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\x00\x00" + exif)


def npy_head(text: str, *, version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    """Encode the header of an .npy with this text, and a little data."""
    head = text.encode("latin-1") + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(head) if length is None else length)
    return b"\x93NUMPY" + bytes(version) + size + head + bytes(64)
