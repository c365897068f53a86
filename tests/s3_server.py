"""A server that answers what a test wants to requests for objects of S3."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Refusals = dict[str, tuple[int, str]]  # status and code by method; the others succeed


@contextmanager
def serve_objects(refusals: Refusals, silent: str = "") -> Iterator[tuple[list[str], str]]:
    """Serve objects; yield the requests so far and the address. To one method it says nothing."""
    requests: list[str] = []
    ended = threading.Event()

    class Objects(BaseHTTPRequestHandler):
        def handle_request(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            requests.append(f"{self.command} {self.path.partition('?')[0]}")
            if self.command == silent:
                ended.wait(20)
                return
            status, code = refusals.get(self.command, (200, ""))
            body = f"<Error><Code>{code}</Code><Message>No</Message></Error>" if code else ""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = do_DELETE = handle_request

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Objects) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield requests, f"http://127.0.0.1:{server.server_port}"
        ended.set()
        server.shutdown()
