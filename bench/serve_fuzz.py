"""Mutated requests to a running service: every answer must be of a known status and type, and the service must go on.

twofold serve BUNDLE --port 8000 --quiet &
python bench/serve_fuzz.py http://127.0.0.1:8000 IMAGE [--count 10000]
"""

import argparse
import base64
import json
import struct
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

STATUSES = {200, 400, 404, 405, 408, 413, 415, 422, 429}

Sample = tuple[str, dict[str, str], bytes]


def samples(image: bytes) -> list[Sample]:
    """One valid request of each kind: path, headers, body."""
    form = (
        b'--line\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        + image
        + b"\r\n--line--\r\n"
    )
    text = base64.b64encode(image[:3000]).decode()
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    pixels = {"inputs": [{"name": "image", "shape": [2, 2, 3], "datatype": "UINT8", "data": list(range(12))}]}
    binary = struct.pack("<I", len(image)) + image
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(binary)}}]}).encode()
    plain = {"content-type": "application/json"}
    return [
        ("/predict", {"content-type": "image/jpeg"}, image),
        ("/predict", {"content-type": "multipart/form-data; boundary=line"}, form),
        ("/predict", plain, json.dumps({"images": [text]}).encode()),
        ("/explain", {"content-type": "image/jpeg"}, image),
        ("/v2/models/model/infer", plain, json.dumps({"inputs": [tensor | {"data": [text]}]}).encode()),
        ("/v2/models/model/infer", plain, json.dumps(pixels).encode()),
        ("/v2/models/model/infer", {"inference-header-content-length": str(len(head))}, head + binary),
    ]


def mutate(body: bytes, random: np.random.Generator) -> bytes:
    """Some bytes replaced, removed, repeated or inserted, most often near the start, where structure is."""
    data = bytearray(body)
    for _ in range(int(random.integers(1, 6))):
        at = min(int(random.exponential(len(data) / 4)), max(len(data) - 1, 0))
        length = int(random.integers(1, 1 + min(64, max(len(data), 1))))
        kind = random.integers(5)
        if kind == 0:
            data[at : at + length] = random.bytes(length)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * int(random.integers(1, 50))
        elif kind == 3:
            data[at:at] = [b"\x00", b"\xff" * 8, b'"', b"{", b"[", b"-1", b"1e999", b"null", b"\r\n--line"][
                random.integers(9)
            ]
        else:
            data = data[:at]
    return bytes(data)


def fault(path: str, status: int, kind: str, body: bytes) -> str | None:
    """What is wrong with an answer."""
    if status not in STATUSES:
        return f"status {status}: {body[:200]!r}"
    if status == 200:
        return None
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"no JSON for status {status}: {body[:200]!r}"
    typed = isinstance(error, str) if path.startswith("/v2") else set(error) == {"reason", "message"}
    return None if typed and kind == "application/json" else f"untyped: {body[:200]!r}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("image", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random, valid = np.random.default_rng(arguments.seed), samples(arguments.image.read_bytes())
    host = urlsplit(arguments.address).netloc
    connection = HTTPConnection(host, timeout=60)
    statuses: Counter[int | str] = Counter()
    faults = []
    for _ in range(arguments.count):
        path, headers, body = valid[random.choice(len(valid), p=[0.2, 0.2, 0.15, 0.02, 0.15, 0.13, 0.15])]
        body = mutate(body, random)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:  # a refusal may end the connection before the body is sent
            statuses[type(error).__name__] += 1
            connection.close()
            continue
        statuses[response.status] += 1
        wrong = fault(path, response.status, response.getheader("content-type", ""), answer)
        if wrong:
            faults.append(f"{path} {wrong}")
    print(dict(statuses))
    print(f"{len(faults)} faults among {arguments.count} requests", *faults[:20], sep="\n")
    connection.request("GET", "/health/ready")
    assert connection.getresponse().status == 200


if __name__ == "__main__":
    main()
