"""Package indexes and a git repository, served to this machine and to `docker build` on it."""

import base64
import functools
import hashlib
import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from conftest import run
from teams import commit, git

PASSWORD, GIT_PASSWORD = "planted-0c4f-index", "planted-0c4f-git"


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"ann:{password}".encode()).decode()


LOGINS = {"private": basic(PASSWORD), "git": basic(GIT_PASSWORD)}  # by the first part of a path


class Handler(SimpleHTTPRequestHandler):
    """Serve a folder, of which two parts need a login."""

    def do_GET(self) -> None:
        login = LOGINS.get(self.path.split("/")[1])
        if login and self.headers.get("Authorization") != login:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """Keep a file that is uploaded as to PyPI, for the index `uploaded`."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        for part in message_from_bytes(head + body).walk():
            if name := part.get_filename():
                folder = (
                    Path(self.directory) / "uploaded/simple" / name.split("-")[0].replace("_", "-")
                )
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(part.get_payload(decode=True))
        self.send_response(200)
        self.end_headers()

    def list_directory(self, path: str | os.PathLike[str]) -> io.BytesIO | None:
        """Serve a page of an index, with the hash of each file (PEP 503)."""
        page = "".join(
            f'<a href="{file.name}#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}">'
            f"{file.name}</a>"
            for file in Path(path).iterdir()
            if file.is_file()
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        return io.BytesIO(page)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Indexes:
    """What is served: the indexes `second` and `private`, and repositories in `git`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def publish(self, index: str, name: str, version: str = "1.0") -> Path:
        """Add a package whose module says which index it is from; return its wheel."""
        folder = self.folder / index / "simple" / name
        folder.mkdir(parents=True, exist_ok=True)
        return write_wheel(folder, name, version, f"origin = {index!r}\n")

    def publish_repository(self, name: str) -> None:
        """Add a package as a bare repository, as any static server has it."""
        work, bare = self.folder / "work" / name, self.folder / "git" / f"{name}.git"
        write_source(work, name, "git")
        git("init", "-q", "-b", "main", cwd=work)
        commit(work)
        run("git", "clone", "-q", "--bare", str(work), str(bare), cwd=self.folder)
        git("update-server-info", cwd=bare)


def write_wheel(folder: Path, name: str, version: str, text: str) -> Path:
    """Write a wheel of one module by hand, as https://packaging.python.org describes it."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        for file, body in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            wheel.writestr(zipfile.ZipInfo(file), body)
    path = folder / f"{module}-{version}-py3-none-any.whl"
    path.write_bytes(content.getvalue())
    return path


def write_source(folder: Path, name: str, origin: str) -> None:
    """Write a package that is built from its folder."""
    module = folder / "src" / name.replace("-", "_")
    module.mkdir(parents=True)
    (module / "__init__.py").write_text(f"origin = {origin!r}\n")
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        '\n[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n'
    )


@contextmanager
def serve_packages(folder: Path) -> Iterator[Indexes]:
    """Serve a folder where a container reaches it too: at the address of Docker's bridge."""
    bridge = json.loads(run("docker", "network", "inspect", "bridge", cwd=folder))[0]
    with serve_folder(folder, bridge["IPAM"]["Config"][0]["Gateway"]) as served:
        yield served


@contextmanager
def serve_folder(folder: Path, host: str = "127.0.0.1") -> Iterator[Indexes]:
    handler = functools.partial(Handler, directory=str(folder))
    with ThreadingHTTPServer((host, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Indexes(folder, f"http://{host}:{server.server_port}")
        server.shutdown()
