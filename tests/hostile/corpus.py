"""Requests that are harmful, by intent or mistake: named, and the same in every run.

Each is built on demand, so that only one large request is in memory at a time.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from tests.encoded import encoded, npy
from tests.hostile import bombs
from tests.hostile.bombs import FORMATS, chunk, npy_head, photo, png
from tests.hostile.wire import (
    BOUNDARY,
    URL,
    as_json,
    chunked,
    explain,
    form,
    in_base64,
    part,
    request,
)

MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
NINES = "9" * 5000
ID = "exp_" + "0" * 32


@dataclass(frozen=True)
class Case:
    """A request, and the statuses with which it may be refused."""

    name: str
    make: Callable[[], bytes]
    statuses: tuple[int, ...]


def corpus() -> Iterator[Case]:
    groups = (_pictures, _cut, _others, _label_maps, _settings, _bodies, _forms, _http)
    for group in groups:
        for name, make, *statuses in group():
            yield Case(f"{group.__name__[1:]}: {name}", make, tuple(statuses))


Named = tuple[str, Callable[[], bytes], *tuple[int, ...]]


def _pictures() -> Iterator[Named]:
    """Bombs, files that lie, and pictures of extreme shapes."""
    yield "a hundred thousand chunks", partial(_explain, png, chunk(b"abCd") * 100_000), 422
    yield (
        "a palette too long",
        partial(_explain, png, chunk(b"PLTE", bytes(300_000)), colour=3),
        422,
    )
    yield (
        "transparency of a palette too long",
        partial(
            _explain, png, chunk(b"PLTE", bytes(768)), chunk(b"tRNS", bytes(100_000)), colour=3
        ),
        422,
    )
    for width, height in ((0, 0), (0, 9), (9, 0)):
        yield f"PNG of {width} x {height}", partial(_explain, png, width=width, height=height), 422
    for side in (10_000, 60_000, 2**31 - 1):
        yield f"PNG of {side}²", partial(_explain, png, width=side, height=side), 413
    yield "PNG of 7 bits", partial(_explain, png, depth=7), 422
    yield "PNG of no colour type", partial(_explain, png, colour=5), 422
    yield "PNG without data", partial(_explain, png, data=b""), 422
    yield "PNG of no deflate data", partial(_explain, png, data=b"junk"), 422
    yield (
        "PNG of a wrong checksum",
        lambda: explain(photo()[:40] + b"\x00" + photo()[41:]),
        415,
        422,
    )
    for size in ((1, 100_000), (100_000, 1), (1, 101), (5000, 49)):
        yield f"a strip of {size[0]} x {size[1]}", partial(_explain, _plain, size), 422
    yield "GIF of 65535²", partial(_explain, bombs.gif, 65_535, 65_535, (0, 0, 1, 1)), 413
    yield (
        "GIF with a frame of 65535²",
        partial(_explain, bombs.gif, 1, 1, (0, 0, 65_535, 65_535)),
        413,
    )
    yield (
        "GIF with a frame far off",
        partial(_explain, bombs.gif, 1, 1, (60_000, 60_000, 1, 1)),
        413,
    )
    yield "GIF of 0 x 0", partial(_explain, bombs.gif, 0, 0, (0, 0, 0, 0)), 415, 422
    yield "GIF with an empty frame", partial(_explain, bombs.gif, 5, 5, (0, 0, 0, 0)), 422
    comments = b"!\xfe" + b"\x01x" * 200_000 + b"\x00"
    yield "GIF of endless comments", partial(_explain, bombs.gif, 1, 1, (0, 0, 1, 1), comments), 422
    for width, height in ((2**31 - 1, 2**31 - 1), (-5, 5), (50_001, 1000)):
        yield f"BMP of {width} x {height}", partial(_explain, bombs.bmp, width, height), 413, 422
    yield "BMP of 0 x 0", partial(_explain, bombs.bmp, 0, 0), 415, 422
    yield "BMP of 99 bits", partial(_explain, bombs.bmp, 4, 4, 99), 422
    yield "BMP of compression 99", partial(_explain, bombs.bmp, 4, 4, 24, 99), 422
    yield "BMP of run lengths", partial(_explain, bombs.bmp, 4, 4, 8, 1, 8), 422
    yield "BMP of 2³¹ colours", partial(_explain, bombs.bmp, 4, 4, 8, 0, 2**31), 422
    yield (
        "TIFF of one huge tile",
        partial(_explain, bombs.tiff, t322=65_536, t323=65_536, t324=8),
        422,
    )
    yield "TIFF of 2³¹ columns", partial(_explain, bombs.tiff, t256=2**31, t257=2**31), 413
    yield "TIFF of 65535 samples", partial(_explain, bombs.tiff, t277=65_535), 422
    yield "TIFF of no rows", partial(_explain, bombs.tiff, t257=0), 415, 422
    yield "TIFF whose strip is not there", partial(_explain, bombs.tiff, t273=2**31), 422
    yield "TIFF of compression 99", partial(_explain, bombs.tiff, t259=99), 415, 422
    yield (
        "TIFF of floating point",
        lambda: explain(encoded(Image.new("F", (4, 4)), "TIFF")),
        415,
    )
    for side in (16_000, 2**24):
        yield (
            f"WebP with a canvas of {side}²",
            partial(_explain, bombs.webp_canvas, side, side),
            413,
            422,
        )
    yield "JPEG of endless scans", partial(_explain, bombs.jpeg_of_scans, 1000), 422
    yield (
        "JPEG of endless comments",
        partial(_explain, bombs.jpeg_with, b"\xff\xfe\x00\x02" * 200_000),
        422,
    )
    yield (
        "JPEG of endless EXIF",
        partial(_explain, bombs.jpeg_with, b"\xff\xe1\x00\x09Exif\x00\x00x" * 100_000),
        422,
    )
    yield "TIFF of two million tiles", partial(_explain, bombs.tiff_of_tiles, 2_000_000), 422
    yield (
        "EXIF of a million fractions",
        partial(_explain, bombs.exif_of_fractions, 10**6),
        422,
    )
    yield "JPEG of endless filling", partial(_explain, bombs.jpeg_with, b"\xff" * 500_000), 422
    heads = {
        "of 10⁵ squared": b"P6 100000 100000 255\n",
        "of 0 x 0": b"P6 0 0 255\n",
        "of -1": b"P6 -1 5 255\n",
        "of no levels": b"P6 1 1 0\n123",
        "of 70000 levels": b"P6 1 1 70000\n123",
        "of 100 levels": b"P6 1 1 100\n123",
        "in words": b"P3 1 1 255\n1 2 3\n",
        "in endless digits": b"P6 " + b"1" * 100_000 + b" 1 255\n",
        "in endless comments": b"P6 " + b"#\n" * 100_000 + b"1 1 255\n123",
        "of infinite scale": b"Pf 1 1 nan\n1234",
    }
    for name, content in heads.items():
        yield f"PPM {name}", partial(explain, content), 413, 415, 422


def _explain(make: Callable[..., bytes], *arguments: object, **options: object) -> bytes:
    return explain(make(*arguments, **options))


def _plain(size: tuple[int, int]) -> bytes:
    return encoded(Image.new("L", size))


def _cut() -> Iterator[Named]:
    """Files cut off in the header, in the data or near the end, or with the first bytes alone."""
    for kind in FORMATS:
        content = photo(kind)
        for share in (1, 5, 20, 40, 60, 80, 95):
            short = content[: max(9, len(content) * share // 100)]
            yield f"{kind} at {share} %", partial(explain, short), 415, 422
        yield f"{kind} with a torn head", partial(explain, content[:9] + bytes(2000)), 413, 415, 422


def _others() -> Iterator[Named]:
    """Files of other kinds, in a form and in base64."""
    kinds = {
        "nothing": b"",
        "a zero": b"\x00",
        "zeros": bytes(5000),
        "text": b"hello",
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "SVG of entities": b"<!DOCTYPE s [<!ENTITY a 'aaaaaaaa'>]><svg>&a;</svg>",
        "PDF": b"%PDF-1.7\n1 0 obj<<>>endobj",
        "EXE": b"MZ\x90\x00\x03" + bytes(60),
        "ELF": b"\x7fELF\x02\x01\x01" + bytes(60),
        "ZIP": b"PK\x03\x04" + bytes(60),
        "gzip": gzip.compress(b"x", mtime=0),
        "HEIF": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
        "AVIF": b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif",
        "MP4": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
        "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
        "JPEG XL": b"\xff\x0a" + bytes(60),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "Photoshop": b"8BPS\x00\x01" + bytes(60),
        "ICO": b"\x00\x00\x01\x00\x01\x00" + bytes(60),
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "PHP": b"<?php system($_GET['c']); ?>",
        "JSON": b'{"image": "AA=="}',
        "a pickle": b"\x80\x04cos\nsystem\n",
        "ImageTragick": b"push graphic-context\nfill 'url(https://x/|ls)'\n",
        "Windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(60),
        "QOI": b"qoif" + bytes(60),
        "DDS": b"DDS " + bytes(124),
        "Farbfeld": b"farbfeld" + bytes(60),
    }
    for name, content in kinds.items():
        statuses = (415, 422) if name in FORMATS else (415,)  # first bytes of a known format
        yield name, partial(explain, content), *statuses
        yield f"{name} in base64", partial(in_base64, content), *statuses


def _label_maps() -> Iterator[Named]:
    lies = {
        "huge": "{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999, 9999999999), }",
        "of many axes": "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 64), }",
        "of no axis": "{'descr': '|u1', 'fortran_order': False, 'shape': (), }",
        "negative": "{'descr': '|u1', 'fortran_order': False, 'shape': (-8, -8), }",
        "empty": "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 9), }",
        "of objects": "{'descr': '|O', 'fortran_order': False, 'shape': (8, 8), }",
        "of text": "{'descr': '<U16', 'fortran_order': False, 'shape': (1, 1), }",
        "of records": "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (8, 8), }",
        "of floats": "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4), }",
        "by columns, of another size": "{'descr': '|u1', 'fortran_order': True, 'shape': (8, 8), }",
        "longer than its data": "{'descr': '|u1', 'fortran_order': False, 'shape': (40, 60), }",
        "of no type": "{'descr': 'what', 'fortran_order': False, 'shape': (8, 8), }",
        "without a shape": "{'descr': '|u1', 'fortran_order': False}",
        "of code": "__import__('os').system('true')",
        "of brackets": "(" * 5000,
        "of a long number": "{'descr': '|u1', 'fortran_order': False, 'shape': (" + NINES + ",)}",
        "of a truth for a side": "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 64), }",
    }  # fmt: skip
    for name, text in lies.items():
        yield f".npy {name}", partial(_labels, npy_head(text)), 413, 422
    eight = "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 8), }"
    yield ".npy of version 3", partial(_labels, npy_head(eight, version=(3, 0))), 422
    yield ".npy of version 9", partial(_labels, npy_head(eight, version=(9, 9))), 422
    yield ".npy of an endless head", partial(_labels, npy_head(eight, length=65_000)), 422
    yield (
        ".npy of a head of 4 GB",
        partial(_labels, npy_head(eight, version=(2, 0), length=2**32 - 1)),
        422,
    )
    yield ".npy of another size", partial(_labels, npy(np.zeros((7, 9), np.uint8))), 422
    yield ".npy of every number", partial(_labels, npy(np.arange(2400).reshape(40, 60))), 413
    yield "an .npz", partial(_labels, b"PK\x03\x04" + bytes(60)), 422
    yield "nothing", partial(_labels, b""), 422
    yield "a JPEG", partial(_labels, photo("JPEG")), 422
    yield "a PNG of colours", partial(_labels, photo("PNG")), 422
    yield "a PNG of 10000²", partial(_labels, png(width=10_000, height=10_000)), 413
    yield "a PNG cut off", partial(_labels, photo("PNG")[:900]), 422
    yield (
        "a PNG of a text bomb",
        partial(_labels, png(chunk(b"zTXt", b"k\x00\x00" + bombs.DEFLATED))),
        422,
    )
    yield "a PNG of endless chunks", partial(_labels, png(chunk(b"abCd") * 100_000)), 422
    yield (
        "one that nobody asked for",
        partial(explain, photo(), label_map=npy(np.eye(9, dtype=int))),
        400,
    )


def _labels(content: bytes) -> bytes:
    return explain(photo(), b'{"superpixels": {"kind": "labels"}}', label_map=content)


def _settings() -> Iterator[Named]:
    malformed: dict[str, bytes] = {
        "nothing": b"",
        "a brace": b"{",
        "NaN": b'{"seed": NaN}',
        "Infinity": b'{"metadata": {"a": Infinity}}',
        "minus Infinity": b'{"metadata": {"a": -Infinity}}',
        "1e400": b'{"metadata": {"a": 1e400}}',
        "5000 digits": b'{"seed": ' + b"9" * 5000 + b"}",
        "a name twice": b'{"seed": 1, "seed": 2}',
        "a name twice, deep": b'{"metadata": {"a": [{"b": 1, "b": 1}]}}',
        "a lone surrogate": b'{"metadata": {"a": "\\ud800"}}',
        "a surrogate in UTF-8": b'{"metadata": {"a": "\xed\xa0\x80"}}',
        "Latin-1": '{"metadata": {"a": "ü"}}'.encode("latin-1"),
        "UTF-16": '{"seed": 1}'.encode("utf-16"),
        "UTF-32": '{"seed": 1}'.encode("utf-32"),
        "two byte order marks": b'\xef\xbb\xbf\xef\xbb\xbf{"seed": 1}',
        "a null byte": b'{"seed": 1}\x00',
        "a null byte in a text": b'{"metadata": {"a": "\x00"}}',
        "a comment": b'{"seed": 1 /* one */}',
        "a comma too many": b'{"seed": 1,}',
        "single quotes": b"{'seed': 1}",
        "33 levels": b'{"metadata": {"a": ' + b"[" * 33 + b"]" * 33 + b"}}",
        "900 levels": b'{"metadata": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
        "900 objects": b'{"a": ' * 900 + b"1" + b"}" * 900,
        "90000 levels": b"[" * 90_000 + b"]" * 90_000,
        "a million brackets": b"[" * 1_000_000,
        "a million numbers": b'{"metadata": {"a": [' + b"1," * 500_000 + b"1]}}",
    }
    for name, text in malformed.items():
        yield name, partial(explain, photo(), text), 400
    yield "two megabytes", partial(explain, photo(), b" " * 2_000_000 + b"{}"), 413
    invalid: dict[str, object] = {
        "an array": [],
        "null": None,
        "a text": "x",
        "an unknown name": {"sedd": 1},
        "a path for a model": {"model": "../../etc/passwd"},
        "a null byte for a model": {"model": "a\x00b"},
        "a model of 10000 letters": {"model": "m" * 10_000},
        "a method of another kind": {"method": 7},
        "a masker of code": {"masker": "blur(__import__('os'))"},
        "a masker of many digits": {"masker": f"blur({'9' * 10_000},1)"},
        "no seed below zero": {"seed": -1},
        "a seed of 2⁶⁴": {"seed": 2**64},
        "a seed of 1.5": {"seed": 1.5},
        "a seed of true": {"seed": True},
        "endless evaluations": {"max_evals": 2**63},
        "no evaluations": {"max_evals": 0},
        "a grid of 10⁹ cells": {"superpixels": {"kind": "grid", "rows": 10**9, "columns": 1}},
        "an unknown kind": {"superpixels": {"kind": "x" * 1000}},
        "indices twice": {"outputs": {"indices": [1, 1]}},
        "2000 indices": {"outputs": {"indices": list(range(2000))}},
        "an index of 10³⁰": {"outputs": {"indices": [10**30]}},
        "labels that climb": {"outputs": {"labels": ["../../../etc/passwd"]}},
        "metadata of 20 kB": {"metadata": {"a": "x" * 20_000}},
        "metrics 1000 times": {"metrics": ["deletion"] * 1000},
    }
    for name, value in invalid.items():
        yield name, partial(explain, photo(), json.dumps(value).encode()), 422


def _bodies() -> Iterator[Named]:
    """Bodies of type application/json."""
    bodies = {
        "nothing": b"",
        "not an object": b"[]",
        "no picture": b"{}",
        "a number for a picture": b'{"image": 7}',
        "base64 of no alphabet": b'{"image": "!-_-"}',
        "base64 of five letters": b'{"image": "AAAAA"}',
        "a picture elsewhere": b'{"image": "file:///etc/passwd"}',
        "a picture twice": b'{"image": "AA==", "image": "AA=="}',
        "an unknown name": b'{"image": "AA==", "url": "http://169.254.169.254/"}',
        "UTF-16": '{"image": "AA=="}'.encode("utf-16"),
        "10 MB of brackets": b"[" * 10_000_000,
        "10 MB of empty arrays": b"[" + b"[]," * 3_300_000 + b"[]]",
        "10 MB of objects": b'{"a":' * 2_000_000,
    }
    for name, content in bodies.items():
        yield name, partial(as_json, content), 400
    yield "larger than allowed", partial(as_json, b'{"image": "' + b"A" * 13_000_000 + b'"}'), 413
    packed = gzip.compress(b'{"image": "' + b"A" * 1_000_000 + b'"}', mtime=0)
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x"):
        yield (
            f"Content-Encoding: {coding}",
            partial(as_json, packed, {"Content-Encoding": coding}),
            415,
        )
    for kind in ("text/plain", "image/png", "application/xml", "application/x-www-form-urlencoded"):
        yield kind, partial(request, photo(), {"Content-Type": kind}), 415
    yield "no Content-Type", partial(request, photo()), 415
    yield (
        "chunked, not an object",
        partial(chunked, b"[]", {"Content-Type": "application/json"}),
        400,
    )
    yield "chunked, too large", partial(chunked, bytes(13_000_000), MULTIPART, 65_536), 400, 413


def _forms() -> Iterator[Named]:
    """Bodies of type multipart/form-data."""
    picture, end = part("image", photo(), "p"), b"--" + BOUNDARY + b"--\r\n"
    for name, content_type in {
        "no boundary": "multipart/form-data",
        "an empty boundary": "multipart/form-data; boundary=",
        "a quoted empty boundary": 'multipart/form-data; boundary=""',
        "another boundary": "multipart/form-data; boundary=other",
        "a boundary of 5000 letters": "multipart/form-data; boundary=" + "b" * 5000,
    }.items():
        yield name, partial(request, picture + end, {"Content-Type": content_type}), 400
    yield "no part", partial(form), 400
    yield "nothing at all", partial(form, end=b""), 400
    yield "no final boundary", partial(form, picture, end=b""), 400
    yield "half a final boundary", partial(form, picture, end=end[:-4]), 400
    yield "a picture twice", partial(form, picture, picture), 400
    yield (
        "settings twice",
        partial(form, picture, part("settings", b"{}"), part("settings", b"{}")),
        400,
    )
    yield "a thousand parts", partial(form, *[part(f"p{n}", b"") for n in range(1000)]), 400
    yield "a part of another name", partial(form, part("file", photo(), "p")), 400
    yield "a name that climbs", partial(form, part("../image", photo(), "p")), 400
    yield "a name with a null byte", partial(form, part("image\x00", photo(), "p")), 400
    yield "a picture without a filename", partial(form, part("image", photo())), 400
    yield "no Content-Disposition", partial(form, b"--" + BOUNDARY + b"\r\n\r\nx\r\n"), 400
    nameless = b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data\r\n\r\nx\r\n"
    yield "no name", partial(form, nameless), 400
    yield (
        "an endless header",
        partial(form, part("image", b"", "p", b"X-A: " + b"a" * 5_000_000)),
        400,
    )
    yield "endless headers", partial(form, part("image", b"", "p", b"X-A: a\r\n" * 100_000)), 400
    yield "a header without a colon", partial(form, part("image", b"", "p", b"nonsense\r\n")), 400
    yield "a header with a null byte", partial(form, part("image", b"", "p", b"X\x00: a\r\n")), 400
    yield "a line before the boundary", partial(form, b"preamble\r\n", picture), 400
    yield "pictures within a form", partial(form, part("image", form(picture), "p")), 400


def _http() -> Iterator[Named]:
    """Requests that are wrong before their body."""
    body = explain(photo()).partition(b"\r\n\r\n")[2]
    for length in ("-1", "x", "1e3", "+5", "5, 6", "9" * 400):
        headers = MULTIPART | {"Content-Length": length}
        yield f"Content-Length: {length[:9]}", partial(request, body, headers), 400, 413
    yield (
        "a body of 1 GB, it says",
        partial(request, b"", MULTIPART | {"Content-Length": str(2**30)}),
        413,
    )
    yield "a length too short", partial(request, body, MULTIPART | {"Content-Length": "90"}), 400
    for coding in ("gzip", "chunked, gzip", "identity", "chunked, chunked"):
        yield (
            f"Transfer-Encoding: {coding}",
            partial(request, body, MULTIPART | {"Transfer-Encoding": coding}),
            400,
            501,
        )
    yield (
        "a chunk of no size",
        partial(request, b"zz\r\n", MULTIPART | {"Transfer-Encoding": "chunked"}),
        400,
    )
    yield (
        "a chunk too large",
        partial(request, b"f" * 20 + b"\r\n", MULTIPART | {"Transfer-Encoding": "chunked"}),
        408,
    )
    yield "a target of 9000 letters", partial(request, method="GET", target="/" + "a" * 9000), 414
    yield (
        "a query of 9000 letters",
        partial(request, method="GET", target=f"{URL}?model=" + "a" * 9000),
        414,
    )
    yield "a target of a megabyte", lambda: b"GET /" + b"a" * 1_000_000, 414
    yield "headers of 20 kB", partial(request, headers={"X-A": "a" * 20_000}, method="GET"), 431
    yield "headers of a megabyte", lambda: b"GET / HTTP/1.1\r\n" + b"X-A: a\r\n" * 125_000, 431
    yield "no HTTP", lambda: b"hello\r\n\r\n", 400
    yield (
        "TLS",
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n",
        400,
    )
    yield "HTTP/2", lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 421
    yield "no Host", lambda: b"GET / HTTP/1.1\r\n\r\n", 400
    yield "no Host, by HTTP/1.0", lambda: b"GET / HTTP/1.0\r\n\r\n", 421
    yield "two Hosts", lambda: request(method="GET").replace(b"\r\n", b"\r\nHost: a\r\n", 1), 400
    yield "a Host that is none", partial(request, headers={"Host": "a b"}, method="GET"), 400
    for method in ("GET", "POST", "DELETE"):
        yield (
            f"{method} by a strange name",
            partial(request, headers={"Host": "evil.example"}, method=method, target=f"{URL}/{ID}"),
            421,
        )
    absolute = f"http://evil.example{URL}"
    yield "an absolute target", partial(request, method="GET", target=absolute), 404
    for header in (
        b"Origin: null",
        b"Origin: http://localhost:3000",
        b"Sec-Fetch-Site: cross-site",
    ):
        yield (
            f"a form of a page with {header.decode()}",
            partial(explain(photo()).replace, b"Host", header + b"\r\nHost", 1),
            403,
        )
    yield (
        "a header with a null byte",
        partial(request, headers={"X-A": "a\x00b"}, method="GET"),
        400,
    )
    yield "a header that is folded", lambda: request(method="GET")[:-4] + b"\r\n : x\r\n\r\n", 400
    yield "a name with a space", partial(request, headers={"X A": "a"}, method="GET"), 400
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "BREW", "CONNECT"):
        yield method, partial(request, method=method), 405
    for target in ("/etc/passwd", "/../../etc/passwd", f"{URL}/", "/v1/", "/%00", "/%ff%fe", "//"):
        yield target, partial(request, method="GET", target=target), 404
    for target in (
        f"{URL}/../../x",
        f"{URL}/%2e%2e%2fsecret",
        f"{URL}/{ID}%00",
        f"{URL}/{'a' * 5000}",
    ):
        yield f"an id {target[17:30]}", partial(request, method="GET", target=target), 404
    yield (
        "a query without sense",
        partial(request, method="GET", target=f"{URL}?limit=1e9&x=%00"),
        422,
    )
    yield "a cursor of junk", partial(request, method="GET", target=f"{URL}?cursor=%00%ff"), 422
    yield (
        "a key of 300 letters",
        lambda: explain(photo()).replace(
            b"Host", b"Idempotency-Key: " + b"k" * 300 + b"\r\nHost", 1
        ),
        400,
    )
    yield "Expect: nonsense", partial(request, b"", MULTIPART | {"Expect": "nonsense"}), 400, 417
