"""Each request of the corpus is refused with a reason, and the process stays healthy."""

import json
import zlib

from PIL import Image

from tests.encoded import encoded
from tests.hostile import bombs
from tests.hostile.conftest import RawResponse
from tests.hostile.corpus import Case, corpus
from tests.hostile.wire import explain, form, part

GROWTH_MB = 250  # of 12 MB uploads, decoded one at a time


def test_the_corpus_has_two_hundred_cases_of_different_names():
    names = [case.name for case in corpus()]
    assert len(names) == len(set(names))
    assert len(names) >= 200


def test_the_corpus_is_refused_with_reasons_and_leaves_nothing(serve, connection):
    api = serve(body_patience_s=2)
    assert api.send(explain(bombs.photo("JPEG"))).status == 202
    keys, kept, before_mb = set(connection.keys()), set(api.kept()), api.resident_mb
    wrong = [said for case in corpus() if (said := _wrong(case, api.send(case.make())))]
    assert not wrong, "\n".join(wrong)
    assert set(connection.keys()) <= keys | {b"shapshot:audit"}  # the start, noted meanwhile
    assert set(api.kept()) == kept
    assert "Traceback" not in api.log.read_text()
    assert api.resident_mb - before_mb < GROWTH_MB
    assert api.send(explain(bombs.photo("JPEG"))).status == 202


def _wrong(case: Case, answer: RawResponse) -> str | None:
    """Return what is wrong with a response."""
    text = answer.content.decode(errors="replace")[:300]
    if answer.status not in case.statuses or answer.media_type != "application/problem+json":
        return f"{case.name}: {answer.status} {answer.media_type} {text}"
    problem = json.loads(answer.content)
    if problem["status"] != answer.status or len(problem["detail"]) < 10:
        return f"{case.name}: {text}"
    return None


MILLION = zlib.compress(bytes(2**20 - 1))
BESIDE_PIXELS = [
    [bombs.chunk(b"zTXt", b"k\x00\x00" + bombs.DEFLATED)],
    [bombs.chunk(b"iTXt", b"k\x00\x01\x00\x00\x00" + bombs.DEFLATED)],
    [bombs.chunk(b"iCCP", b"k\x00\x00" + bombs.DEFLATED)],
    [bombs.chunk(b"zTXt", b"k%d\x00\x00" % n + MILLION) for n in range(300)],
    *([bombs.chunk(kind)] for kind in (b"gAMA", b"cHRM", b"pHYs", b"sRGB")),
]
UNUSUAL = [
    ("JPEG", encoded(Image.new("CMYK", (40, 30)), "JPEG")),
    ("PNG", encoded(Image.new("I;16", (40, 30)))),
    ("PNG", encoded(Image.new("1", (40, 30)))),
    ("PNG", encoded(Image.new("P", (40, 30)), transparency=0)),
    ("PNG", bombs.png(bombs.chunk(b"eXIf", b"II*\x00" + b"\xff" * 60))),
    *((form, bombs.animation(form)) for form in ("PNG", "GIF", "WEBP", "TIFF")),
    ("JPEG", bombs.photo("JPEG") + b"<script>alert(1)</script>"),
    ("JPEG", bombs.photo("JPEG") + b"<?php system('id'); ?>"),
    ("PNG", bombs.photo("PNG") + b"PK\x03\x04" + bytes(60)),
    ("GIF", bombs.photo("GIF") + b"%PDF-1.7"),
]
FILENAMES = [
    "../../../../etc/passwd",
    "..\\..\\boot.ini",
    "/dev/null",
    "a\x00.png",
    "a.png%0d%0aX-Evil: 1",
    "x" * 3000,
    "\u202egnp.exe",
    "",
]


def test_unusual_valid_requests_are_accepted(serve):
    api = serve()
    for form_, content in UNUSUAL:
        answer = api.send(explain(content))
        assert answer.status == 202, answer.content
        assert json.loads(answer.content)["image"]["format"] == form_


def test_metadata_of_a_png_is_accepted_and_not_unpacked(serve):
    api = serve()
    assert api.send(explain(bombs.photo())).status == 202
    before_mb = api.resident_mb
    for chunks in BESIDE_PIXELS:
        answer = api.send(explain(bombs.png(*chunks)))
        assert answer.status == 202, answer.content
    assert api.resident_mb - before_mb < 15  # one of the bodies has 20 MB, another 300


def test_a_file_name_is_kept_and_never_used_as_a_path(serve):
    api = serve()
    answers = [api.send(form(part("image", bombs.photo(), name))) for name in FILENAMES]
    assert {answer.status for answer in answers} == {202}
    ids = {json.loads(answer.content)["id"] for answer in answers}
    assert {path.parent.name for path in api.kept()} == ids
    names = [json.loads(answer.content)["image"]["name"] for answer in answers]
    assert not any(set(name or "") & set("/\\") for name in names)
    assert all((name or "x").isprintable() for name in names)
