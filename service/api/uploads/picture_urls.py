"""Fetches pictures that a request names by URL, within the limits of uploads."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from service.api.http.memory_budget import Reserve
from service.api.http.problems import ApiError
from service.api.outbound.destinations import OutboundError
from service.api.outbound.sender import OutboundSender
from service.api.version import version
from service.infra.settings.api import ApiSettings
from service.schemas.documents import ErrorCode

FETCH_S = 15.0  # for a picture
ALL_S = 60.0  # for all pictures of a request


@dataclass
class PictureFetcher:
    """Fetches the pictures of one request; together they are as large as an upload may be."""

    sender: OutboundSender
    settings: ApiSettings
    reserve: Reserve
    _received: int = 0  # bytes

    async def fetch(self, urls: Mapping[str, str]) -> dict[str, bytes]:
        """Return the files by name. Raises ApiError, which names the URL that is at fault."""
        if urls and not self.settings.picture_urls:
            detail = (
                "pictures by URL are not accepted by this server (SHAPSHOT_PICTURE_URLS); send the "
                "picture itself"
            )
            raise ApiError(ErrorCode.INVALID_IMAGE_URL, detail, field_of(next(iter(urls))))
        ends_at = time.monotonic() + ALL_S
        return {
            name: await self._fetch_one(field_of(name), url, ends_at) for name, url in urls.items()
        }

    async def _fetch_one(self, field: str, url: str, ends_at: float) -> bytes:
        headers = {
            "Accept": "image/*",
            "Accept-Encoding": "identity",
            "User-Agent": f"Shapshot/{version()}",
        }
        timeout_s = max(min(FETCH_S, ends_at - time.monotonic()), 0)
        content = bytearray()
        try:
            async with self.sender.send("GET", url, headers=headers, timeout_s=timeout_s) as answer:
                code = answer.status_code
                if code != 200:
                    what = ", and redirects are not followed" if 300 <= code < 400 else ""
                    raise _refused(field, url, f"its server answered {code}{what}")
                encoding = answer.headers.get("content-encoding", "identity").lower()
                if encoding != "identity":  # it could expand to any size
                    raise _refused(field, url, f"it was sent compressed ({encoding[:40]})")
                async for chunk in answer.aiter_raw():
                    self._count(field, url, len(chunk))
                    content += chunk
        except OutboundError as error:
            raise _refused(field, url, str(error)) from error
        return bytes(content)

    def _count(self, field: str, url: str, size: int) -> None:
        """Raises ApiError too_large, busy."""
        self._received += size
        most = self.settings.max_upload_bytes
        if self._received > most:
            detail = f"{field}: the pictures of a request may have {most} bytes"
            raise ApiError(ErrorCode.TOO_LARGE, detail, field, url, {"maximum": most})
        self.reserve(size)


def field_of(name: str) -> str:
    """Returns the field with the URL of a picture: image_url, or image_urls.0 of images.0."""
    first, dot, position = name.partition(".")
    return f"{'image_urls' if first == 'images' else 'image_url'}{dot}{position}"


def _refused(field: str, url: str, reason: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_IMAGE_URL, f"{field}: {reason}", field, url)
