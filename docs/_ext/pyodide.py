"""The Python for the page: Pyodide, fetched from npm's registry, and packed into one script.

`make html-live` runs this module before it builds the book:

    python -m _ext.pyodide build/pyodide

* `fetch` has npm download the archive, of exactly one version, and takes it only if it has the
  right hash. What is there already is not fetched again.
* `packed` is the script of the built book, with Pyodide and `driverref` in it. A page loads it with
  a script element, which works from file:// as well; nothing else can be loaded there.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "driverref"

VERSION = "314.0.7"
"""The version: how it leaves a stack is not documented, so no other is taken without a test."""
HASH = (
    "d18bd7c4485f11da4b7dbfd790cd8114078c44eab488c517d9bcf31fda4eb6dc"
    "8c716930abe1db139bb2b860fcd8b37bcb6abe48dbe2ffa579244b0e943d91d4"
)
"""The SHA-512 of the archive on the registry."""

ARCHIVE = f"pyodide-{VERSION}.tgz"
LOADER, GLUE, WASM, STDLIB, LOCK = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
FILES = (LOADER, GLUE, WASM, STDLIB, LOCK)


class Unavailable(Exception):
    """The archive cannot be had: there is no npm, or npm cannot reach the registry."""


def fetch(folder: Path) -> None:
    """Have the files of Pyodide in a folder.

    Raises `Unavailable` if they cannot be fetched, `ValueError` if the archive is another one.
    """
    archive = folder / ARCHIVE
    if not archive.is_file():
        download(folder)
    check(archive.read_bytes(), archive)
    with tarfile.open(archive) as tar:
        for name in FILES:
            content = tar.extractfile(f"package/{name}")
            assert content is not None
            (folder / name).write_bytes(content.read())


def download(folder: Path) -> None:
    """Have npm download the archive into a folder."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is needed to fetch Pyodide: apt install npm")
    folder.mkdir(parents=True, exist_ok=True)
    packing = [npm, "pack", f"pyodide@{VERSION}", "--loglevel=error"]
    done = subprocess.run(packing, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        raise Unavailable(f"npm could not fetch Pyodide:\n{done.stderr}")


def check(archive: bytes, name: Path) -> None:
    """Raise `ValueError` unless the archive is the one that is meant."""
    found = hashlib.sha512(archive).hexdigest()
    if found != HASH:
        raise ValueError(f"{name} has the SHA-512 {found} and not {HASH}: delete it")


def packed(folder: Path, worker: str, session: str) -> str:
    """Return the script with what a Worker runs: Pyodide, `driverref`, and our own two files."""
    files = {
        "loader": text(folder / LOADER),
        "glue": text(folder / GLUE),
        "wasm": text(folder / WASM),
        # A zip file already.
        "stdlib": base64.b64encode((folder / STDLIB).read_bytes()).decode(),
        "package": base64.b64encode(package(session)).decode(),
    }
    # No package is loaded, so none is listed.
    lock = json.loads((folder / LOCK).read_text("utf-8")) | {"packages": {}}
    python = {"files": files, "lock": json.dumps(lock), "worker": worker}
    return f"window.driverrefPython = {json.dumps(python)};\n"


def text(path: Path) -> str:
    """Return a file, compressed, as text."""
    return base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()


def package(session: str) -> bytes:
    """Return `driverref` and the session as a zip file, without what no page can use.

    There is no command line in a page.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        files = {"live_session.py": session.encode()}
        for path in sorted(PACKAGE.rglob("*")):
            parts = path.relative_to(PACKAGE).parts
            if path.is_file() and not {"__pycache__", "command", "__main__.py"} & set(parts):
                files["/".join(("driverref", *parts))] = path.read_bytes()
        for name, content in files.items():
            # The same time for all, so that equal files make an equal archive.
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(info, content)
    return out.getvalue()


if __name__ == "__main__":
    try:
        fetch(Path(sys.argv[1]))
    except (Unavailable, ValueError) as error:
        sys.exit(str(error))
