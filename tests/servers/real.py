"""The servers, and the stores in them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from tests.servers.process import serving

ACCOUNT = "devstoreaccount1"  # Azurite's, as everybody knows it
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
AZURE_VERSION = "2021-12-02"
NUMBERS = count()  # of new buckets and folders
NPM = Path(__file__).parents[2] / ".npm/node_modules/.bin"  # where `.ci/run` installs Azurite
NGINX = """
{user}
worker_processes 1;
daemon off;
error_log stderr crit;
pid {here}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    default_type application/octet-stream;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    server {{ listen 127.0.0.1:{port}; root {here}/files; }}
}}
"""


@dataclass(frozen=True)
class Web:
    """A web server, and the folder that it serves."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def place(self) -> tuple[str, Path]:
        """The URL and the folder of a place where nothing is yet."""
        name = f"place{next(NUMBERS)}"
        (self.folder / name).mkdir()
        return f"{self.url}/{name}", self.folder / name


@dataclass(frozen=True)
class S3:
    """A server of S3's API."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def options(self, port: int | None = None) -> dict[str, Any]:
        """Storage options of obstore, for this server or for a proxy before it at another port."""
        endpoint = f"http://127.0.0.1:{port or self.port}"
        return {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "a", "secret_access_key": "b"}

    def bucket(self) -> str:
        """The URL of a new bucket."""
        name = f"bucket{next(NUMBERS)}"
        assert asked(self.port, "PUT", f"/{name}") == 200
        return f"s3://{name}"


@dataclass(frozen=True)
class Azure:
    """A server of Azure's API for blobs."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def options(self) -> dict[str, Any]:
        return {"endpoint": self.url, "account_name": ACCOUNT, "account_key": ACCOUNT_KEY}

    def container(self, is_public: bool = False) -> str:
        """The URL of a new container, which everybody may read if it is public."""
        name = f"container{next(NUMBERS)}"
        path = f"/{ACCOUNT}/{name}"
        headers = {"x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": AZURE_VERSION}
        headers |= {"x-ms-blob-public-access": "container"} if is_public else {}
        signed = [*[f"{name}:{headers[name]}" for name in sorted(headers)], f"/{ACCOUNT}{path}", "restype:container"]
        text = "\n".join(["PUT", *[""] * 11, *signed])
        digest = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        assert asked(self.port, "PUT", f"{path}?restype=container", headers) == 201
        return f"az://{name}"


def asked(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> int:
    """The status of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={"Content-Length": "0", **(headers or {})})
        return connection.getresponse().status
    finally:
        connection.close()


def program(name: str) -> str | None:
    """Where a program is; None where it is not installed."""
    return shutil.which(name) or shutil.which(name, path=f"{NPM}:/usr/sbin:/usr/local/sbin")


def why_no_moto() -> str | None:
    missing = [name for name in ("moto", "flask") if importlib.util.find_spec(name) is None]
    return "pip install 'moto[server]'" if missing else None


@contextmanager
def nginx(folder: Path) -> Iterator[Web]:
    """A web server of the files below `folder`/files."""
    (folder / "files").mkdir()

    def command(port: int) -> list[str]:
        user = "user root;" if os.geteuid() == 0 else ""  # whose the folder is: else root's workers are nobody's
        (folder / "nginx.conf").write_text(NGINX.format(user=user, here=folder, port=port))
        return [program("nginx") or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]

    with serving(command) as port:
        yield Web(port, folder / "files")


@contextmanager
def moto() -> Iterator[S3]:
    with serving(lambda port: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]) as port:
        yield S3(port)


@contextmanager
def azurite() -> Iterator[Azure]:
    options = ("--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry", "--blobPort")
    with serving(lambda port: [program("azurite-blob") or "azurite-blob", *options, str(port)]) as port:
        yield Azure(port)
