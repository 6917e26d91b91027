"""The images in the body of a request: one raw image, the files of a form, or base64 in JSON. Nothing is decoded here."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twofold.serving.request_errors import RequestError

if TYPE_CHECKING:
    from starlette.requests import Request

FORM: Final = "multipart/form-data"
JSON: Final = "application/json"
_RAW: Final = "application/octet-stream"
_IN_THREAD: Final = 100_000  # bytes from which a body is parsed in a thread, so that the event loop goes on


@dataclass(frozen=True, slots=True)
class RequestImage:
    """An encoded image of a request; `name` is that of its file, where there is one."""

    data: bytes
    name: str = ""


@dataclass(frozen=True, slots=True)
class RequestImages:
    """The images of a request. `is_single` is one raw image, whose answer is one prediction."""

    images: tuple[RequestImage, ...]
    is_single: bool


class BodyMemory:
    """The bytes of all bodies that are in memory, and their limit."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    @contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """A function that takes bytes for one request, which are free again at the end. It raises RequestError where there are
        not so many left."""
        total = 0

        def take(count: int) -> None:
            nonlocal total
            if self.used + count > self.limit:
                raise RequestError(429, "busy", "Too many images are being received: try again.", 1, closes=True)
            self.used, total = self.used + count, total + count

        try:
            yield take
        finally:
            self.used -= total


async def read_body(request: "Request", max_bytes: int, take: Callable[[int], None]) -> bytes:
    """The body. Raises RequestError with the status 413 where it has more bytes, as soon as that is known."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        message = f"The content encoding {encoding!r} is not read: images are compressed already."
        raise RequestError(415, "unsupported-media-type", message, closes=True)
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > max_bytes:
        raise _too_long(max_bytes)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_long(max_bytes)
        take(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


async def read_images(
    request: "Request", *, max_bytes: int, max_images: int, take: Callable[[int], None]
) -> RequestImages:
    """The images of the body. Raises RequestError where there is none, or too much."""
    from starlette.concurrency import run_in_threadpool

    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (FORM, JSON, _RAW, "") and not kind.startswith("image/"):
        message = f"The content type {kind!r} is not read: send image/*, {FORM} or {JSON}."
        raise RequestError(415, "unsupported-media-type", message, closes=True)
    body = await read_body(request, max_bytes, take)
    if not body:
        raise RequestError(400, "empty", "The body is empty: send an image.")
    if kind not in (FORM, JSON):
        return RequestImages((RequestImage(body),), is_single=True)
    if kind == FORM:
        parse = partial(_parse_form, body, request.headers["content-type"], max_images)
    else:
        parse = partial(_parse_json, body, max_images)
    images = await run_in_threadpool(parse) if len(body) > _IN_THREAD else parse()
    if not images:
        raise RequestError(400, "empty", "The request holds no image.")
    return RequestImages(tuple(images), is_single=False)


def _parse_form(body: bytes, content_type: str, max_images: int) -> list[RequestImage]:
    """The files of a form, in their order."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import FormParser, parse_options_header

    images: list[RequestImage] = []

    def add(file: Any) -> None:
        check_count(len(images) + 1, max_images)
        file.file_object.seek(0)
        name = (file.file_name or b"").decode("utf-8", "replace")
        images.append(RequestImage(file.file_object.read(), name))

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise RequestError(400, "bad-request", "The form has no boundary in its content type.")
    in_memory = {"MAX_MEMORY_FILE_SIZE": len(body)}  # no temporary files: they are in memory already
    try:
        parser = FormParser(FORM, None, add, boundary=boundary, config=in_memory)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise RequestError(400, "bad-request", f"The form cannot be read ({error}).") from error
    return images


def _parse_json(body: bytes, max_images: int) -> list[RequestImage]:
    """The images of {"images": [base64, ...]}, or of the list alone."""
    content = parse_json(body)
    texts = content.get("images") if isinstance(content, Mapping) else content
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequestError(400, "bad-request", 'The body must be {"images": [...]} with images in base64.')
    check_count(len(texts), max_images)
    return [RequestImage(decode_base64(text, number)) for number, text in enumerate(texts)]


def parse_json(body: bytes) -> Any:
    """The content of a JSON body. Raises RequestError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "bad-request", "The body is not JSON.") from error


def decode_base64(text: str, number: int) -> bytes:
    """The bytes of an image; a data URL is read as well. Raises RequestError, which names the image by its number."""
    start = text.find(",") + 1 if text.startswith("data:") else 0
    try:
        return base64.b64decode(text[start:].encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise RequestError(400, "bad-request", f"Image {number} is not valid base64.") from error


def check_count(count: int, max_images: int) -> None:
    """Raises RequestError with the status 413 for more images than a request may have."""
    if count > max_images:
        message = f"The request has more than {max_images} images: send them in several requests."
        raise RequestError(413, "too-many-images", message)


def _too_long(max_bytes: int) -> RequestError:
    message = f"The body has more than {max_bytes / 1e6:g} MB: send fewer or smaller images."
    return RequestError(413, "too-large", message, closes=True)
