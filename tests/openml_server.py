"""A made OpenML server on this machine: answers in the form of the real one's."""

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np


@dataclass
class FakeOpenml:
    """What the server answers by path; every path that was asked for is kept."""

    address: str = ""
    answers: dict[str, bytes] = field(default_factory=dict)
    status: dict[str, list[int]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


def toy_arff(rows: int = 90, *, pixels: int = 9, classes: str = "abc") -> bytes:
    """A data set of random images, classes in turn."""
    values = np.random.default_rng(5).integers(0, 256, (rows, pixels))
    head = ["% made for a test", "@RELATION toy"]
    head += [f"@ATTRIBUTE pixel{number + 1} numeric" for number in range(pixels)]
    head += [f"@ATTRIBUTE class {{{','.join(classes)}}}", "@DATA"]
    body = [
        ",".join([*map(str, row), classes[number % len(classes)]])
        for number, row in enumerate(values.tolist())
    ]
    return ("\n".join([*head, *body]) + "\n").encode()


def serve_toy(server: FakeOpenml, arff: bytes, *, pixels: int = 9, name: str = "toy") -> None:
    """Make the server answer for one data set, version 2, number 77."""
    features = [
        {
            "index": str(number),
            "name": f"pixel{number + 1}" if number < pixels else "class",
            "data_type": "numeric" if number < pixels else "nominal",
            "is_target": "true" if number == pixels else "false",
            "is_ignore": "false",
            "is_row_identifier": "false",
            "number_of_missing_values": "0",
        }
        for number in range(pixels + 1)
    ]
    description = {
        "id": "77",
        "name": name,
        "version": "2",
        "description": "made for a test",
        "format": "ARFF",
        "url": f"{server.address}/data/v1/download/99/toy.arff",
        "status": "active",
        "md5_checksum": hashlib.md5(arff, usedforsecurity=False).hexdigest(),
    }
    api = "/api/v1/json/data"
    server.answers |= {
        f"{api}/list/data_name/{name}/limit/2/data_version/2": json.dumps(
            {"data": {"dataset": [{"did": 77, "name": name, "version": 2, "status": "active"}]}}
        ).encode(),
        f"{api}/77": json.dumps({"data_set_description": description}).encode(),
        f"{api}/qualities/77": json.dumps({"data_qualities": {"quality": []}}).encode(),
        f"{api}/features/77": json.dumps({"data_features": {"feature": features}}).encode(),
        "/data/v1/download/99/toy.arff": arff,
    }


@contextmanager
def fake_openml() -> Iterator[FakeOpenml]:
    """Run the server; a path without an answer gives 412, as OpenML does."""
    fake = FakeOpenml()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            content = fake.answers.get(self.path)
            queue = fake.status.get(self.path, [])
            status = queue.pop(0) if queue else (412 if content is None else 200)
            self.send_response(status)
            for key, value in fake.headers.get(self.path, {}).items():
                self.send_header(key, value)
            if "gzip" in self.headers.get("Accept-Encoding", "") and self.path.endswith(".arff"):
                self.send_header("Content-Encoding", "gzip")
                content = gzip.compress(content or b"")
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
            """Say nothing on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
