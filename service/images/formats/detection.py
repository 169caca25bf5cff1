"""Detects the format of a file by its first bytes; also names formats that are not supported."""

import re
from functools import cache
from importlib.util import find_spec

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF")
HEIF_EXTRA = "heic"  # the extra that reads HEIF, which Apple's phones call HEIC

_BY_HEAD = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"GIF8[79]a", "GIF"),
    (rb"BM", "BMP"),
    (rb"P[1-6f][\s#]|PF\s", "PPM"),
    # Unsupported formats
    (rb"II\*\0....CR|FUJIFILMCCD-RAW|FOVb|\0MRM|IIR[OS]|MMOR|IIU\0", "a raw photo"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"iVBORw0KGgo|/9j/|R0lGOD[dl]|UklGR|SUkqA|TU0AK", "a picture in base64, as text,"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
    (rb"II\xbc", "JPEG XR"),
    (rb"P7\s", "PAM"),
    (rb"%PDF", "PDF"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"8BPS", "Photoshop (PSD)"),
    (rb"gimp xcf", "GIMP (XCF)"),
    (rb"\0\0[\x01\x02]\0[\x01-\xff]\0", "an icon (ICO)"),
    (rb"icns", "an icon (ICNS)"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"#\?(RADIANCE|RGBE)", "Radiance HDR"),
    (rb"DDS ", "DDS"),
    (rb"qoif", "QOI"),
    (rb"BPG\xfb", "BPG"),
    (rb"FLIF", "FLIF"),
    (rb"AT&TFORM", "DjVu"),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile"),
    (rb".{128}DICM", "DICOM"),
    (rb"SIMPLE  =", "FITS"),
    (rb"\x89HDF\r\n\x1a\n", "HDF5"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (rb"RIFF....AVI ", "a video (AVI)"),
    (rb"....moov|....mdat|....wide|....free", "a video (QuickTime)"),
    (rb"\0\0\x01[\xb0-\xbf]|FLV\x01|0&\xb2u", "a video"),
    (rb"RIFF....WAVE|ID3|OggS|fLaC", "sound"),
    (rb"PK\x03\x04|PK\x05\x06", "a ZIP archive"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd", "a compressed file"),
)  # the first match counts: a more specific head comes before a prefix of it
_HEADS = [(re.compile(head, re.DOTALL), name) for head, name in _BY_HEAD]
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(<\?xml|<!--|<svg|<!doctype|<html|\{|\[|data:)", re.I)
_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif"}
_SEEN = 4096  # leading bytes of a text that are searched


def kind_of(content: bytes) -> str | None:
    """Return the name of the format, one of FORMATS or an unsupported one; None: unknown."""
    if content[4:8] == b"ftyp":  # an ISO base media file: its major and its compatible brands
        length = min(int.from_bytes(content[:4], "big"), 1024)
        brands = [content[8:12], *(content[at : at + 4] for at in range(16, length, 4))]
        if brands[0] == b"crx ":
            return "a raw photo"
        if _AVIF.intersection(brands):
            return "AVIF"
        return "HEIF" if _HEIF.intersection(brands) else "a video (MP4 or QuickTime)"
    for head, name in _HEADS:
        if head.match(content):
            return name
    text = content[:_SEEN]
    found = _TEXT.match(text)
    if not found:
        return None
    if b"<svg" in text.lower():
        return "SVG"
    start = found[1].lower()
    if start == b"data:":
        return "a data: URL, as text"
    if start in (b"{", b"["):
        return "JSON"
    return "a web page (HTML)" if b"<html" in text.lower() or start == b"<!doctype" else "XML"


@cache
def reads_heif() -> bool:
    """Return whether the extra that reads HEIF is installed."""
    return find_spec("pillow_heif") is not None
