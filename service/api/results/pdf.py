"""Prints a page of HTML as PDF, by WeasyPrint, of the extra `pdf`."""

import importlib.util

from PIL import ImageFile

from service.api.http.problems import ApiError
from service.schemas.documents import ErrorCode

PDF = "application/pdf"
PAGE_BYTES = 2**27  # of memory, for a report
EXTRA = "this server prints no PDF; it can with `pip install 'shapshot[pdf]'` and Pango"


def require_printer() -> None:
    """Raises ApiError where WeasyPrint is not installed."""
    if importlib.util.find_spec("weasyprint") is None:
        raise ApiError(ErrorCode.NOT_INSTALLED, EXTRA)


def print_pdf(page: bytes) -> bytes:
    """Print a page that needs nothing else; whatever it names elsewhere is not fetched.

    The same page gives the same bytes, with the same fonts and libraries. Blocking; a report takes
    about a second. Raises ApiError.
    """
    try:
        from weasyprint import HTML  # it loads Pango
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:
        raise ApiError(ErrorCode.NOT_INSTALLED, f"{EXTRA}: {error}") from error
    finally:  # WeasyPrint has Pillow read broken pictures; the worker refuses those of this moment
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    fetcher = URLFetcher(allowed_protocols=["data"])
    printed: bytes = HTML(string=page.decode(), url_fetcher=fetcher).write_pdf()
    return printed
