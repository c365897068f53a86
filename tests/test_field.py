"""Surroundings unlike a clean machine: none changes a result, and none is changed."""

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import K8S


class Server(BaseHTTPRequestHandler):
    """A server of the user's own, which takes every request."""

    asked: list[str] = []

    def answer(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = answer


@pytest.fixture
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Server.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_compiling_asks_no_server(example: Path, server: str, tmp_path: Path) -> None:
    """Whatever the AWS client is configured with: it got a bucket with the code package once."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(f"[default]\nendpoint_url = {server}\n")
    variables = {"HOME": str(tmp_path), "AWS_ENDPOINT_URL": server}
    check = [K8S, "check", "flows/hello.py"]
    done = subprocess.run(check, cwd=example, env=os.environ | variables, capture_output=True)
    assert (done.returncode, done.stderr, Server.asked) == (0, b"", [])
