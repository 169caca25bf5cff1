"""Requests as bytes on the wire, which no HTTP client would send."""

import base64
import json
from collections.abc import Mapping

URL = "/v1/explanations"
BOUNDARY = b"corpus"

Headers = Mapping[str, str]


def request(
    body: bytes = b"",
    headers: Headers | None = None,
    *,
    method: str = "POST",
    target: str = URL,
) -> bytes:
    """Return a request with a correct Content-Length, unless the headers give another."""
    given = {"Host": "localhost", "Connection": "close"} | dict(headers or {})
    if "Content-Length" not in given and "Transfer-Encoding" not in given:
        given["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def part(name: str, content: bytes, filename: str | None = None, extra: bytes = b"") -> bytes:
    disposition = f'form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = f"Content-Disposition: {disposition}\r\n".encode() + extra
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n" + content + b"\r\n"


def form(*parts: bytes, end: bytes = b"--" + BOUNDARY + b"--\r\n", target: str = URL) -> bytes:
    content_type = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    return request(b"".join(parts) + end, {"Content-Type": content_type}, target=target)


def explain(
    image: bytes, settings: bytes | None = None, *, label_map: bytes | None = None
) -> bytes:
    """Return a form with a picture, as any client would send it."""
    parts = [part("image", image, "photo")]
    if settings is not None:
        parts.append(part("settings", settings))
    if label_map is not None:
        parts.append(part("label_map", label_map, "labels"))
    return form(*parts)


def as_json(content: bytes, headers: Headers | None = None) -> bytes:
    return request(content, {"Content-Type": "application/json"} | dict(headers or {}))


def in_base64(image: bytes) -> bytes:
    return as_json(json.dumps({"image": base64.b64encode(image).decode()}).encode())


def chunked(body: bytes, headers: Headers, size: int = 4096) -> bytes:
    """Encode a body in chunks, without a length."""
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    packed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return request(packed + b"0\r\n\r\n", {"Transfer-Encoding": "chunked", **headers})
