"""What a datastore answers: S3, which is served here, and Google's."""

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from mf_k8s.metaflow import ask_datastore


class Overloaded(BaseHTTPRequestHandler):
    """An S3 server that has too much to do, or is broken."""

    status, code = 503, "SlowDown"

    def do_GET(self) -> None:
        body = f"<Error><Code>{self.code}</Code><Message>Later</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_why_a_bucket_cannot_be_used(
    s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One that is there, one that is not, nobody at the address, a silent server, a busy one."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(ask_datastore.BRIEFLY, "read_timeout", 0.3)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(
        "[profile acme]\naws_access_key_id = a\naws_secret_access_key = sesame\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "acme")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3["METAFLOW_S3_ENDPOINT_URL"])
    assert ask_datastore.ask("s3", "s3://bucket/metaflow") == ""
    by_profile = " (credentials: config-file, profile acme)"
    assert ask_datastore.ask("s3", "s3://gone") == (
        f"NoSuchBucket: The specified bucket does not exist{by_profile}"
    )
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        assert ask_datastore.ask("s3", "s3://bucket/metaflow") == (
            f'Could not connect to the endpoint URL: "{address}/bucket"{by_profile}'
        )
        silent.listen()
        assert ask_datastore.ask("s3", "s3://bucket/metaflow") == (
            f'Read timeout on endpoint URL: "{address}/bucket"{by_profile}'
        )
    with HTTPServer(("127.0.0.1", 0), Overloaded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        assert ask_datastore.ask("s3", "s3://bucket") == ""
        for status, answer in ((429, ""), (502, f"Bad: Later{by_profile}")):
            monkeypatch.setattr(Overloaded, "status", status)
            monkeypatch.setattr(Overloaded, "code", "Bad")
            assert ask_datastore.ask("s3", "s3://bucket") == answer
        server.shutdown()
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert ask_datastore.ask("s3", "s3://bucket") == "The config profile (gone) could not be found"


@pytest.mark.parametrize(("code", "answer"), [(404, "Error: gone"), (429, ""), (503, "")])
def test_what_google_answers(code: int, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = type("Error", (Exception,), {"__module__": "google.api_core.exceptions", "code": code})

    def refuse(*_: str) -> str:
        raise error("gone")

    monkeypatch.setitem(ask_datastore.ASK, "gs", refuse)
    assert ask_datastore.ask("gs", "gs://bucket") == answer
