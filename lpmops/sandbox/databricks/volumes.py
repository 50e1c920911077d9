"""The Files API 2.0 over real folders: `/Volumes/catalog/schema/volume/...` is a path below the root of volumes.

No path leaves its volume: parts such as `..` are refused, and so are links that lead out. Folders are made by PUT with their parents; a volume itself
is a folder that the world makes. Rules: the docstrings of databricks-sdk 0.156 `FilesAPI`.
"""

from __future__ import annotations

import base64
import binascii
import os
from email.utils import formatdate
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response

from lpmops.sandbox.databricks.calls import Answer, Call, Handler
from lpmops.sandbox.databricks.errors import ApiError, invalid, not_found
from lpmops.sandbox.files import write_whole

_PAGE = 1000
_FILE = {"content-type": "application/octet-stream"}


class Volumes:
    """The volumes below one root folder, laid out as catalog/schema/volume."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def operations(self) -> list[tuple[str, str, Handler]]:
        """Files and directories."""
        files, directories = "/api/2.0/fs/files{+path}", "/api/2.0/fs/directories{+path}"
        return [
            ("GET", files, self._get_file),
            ("HEAD", files, self._head_file),
            ("PUT", files, self._put_file),
            ("DELETE", files, self._delete_file),
            ("GET", directories, self._list),
            ("HEAD", directories, self._head_directory),
            ("PUT", directories, self._make_directory),
            ("DELETE", directories, self._delete_directory),
        ]

    def place(self, path: str) -> Path:
        """Where a path lies on this machine. Raises ApiError for a path that is not in a volume."""
        parts = [part for part in path.split("/") if part]
        if any(part in (".", "..") or "\0" in part or "\\" in part for part in parts) or not path.startswith("/"):
            raise invalid(f"The path is not valid: {path!r}.")
        if len(parts) < 4 or parts[0] != "Volumes":
            raise invalid("Paths must be absolute and begin with /Volumes/<catalog>/<schema>/<volume>.")
        volume = self._root.joinpath(*parts[1:4])
        if not volume.is_dir():
            raise not_found("NOT_FOUND", f"Volume '{'.'.join(parts[1:4])}' does not exist.")
        try:
            target = volume.joinpath(*parts[4:]).resolve()
            if any(len(part.encode()) > 255 for part in parts):
                raise OSError("a part is too long")
        except (OSError, ValueError, RuntimeError) as error:
            raise invalid(f"The path is not valid: {path!r}.") from error
        if not target.is_relative_to(volume.resolve()):
            raise ApiError(403, "PERMISSION_DENIED", "The path leads out of its volume.")
        return target

    # Files

    def _file(self, call: Call) -> Path:
        path = self.place(call.names["path"])
        if not path.is_file():
            raise not_found("NOT_FOUND", "The file being accessed is not found.")
        return path

    def _get_file(self, call: Call) -> Response:
        path = self._file(call)
        if "range" in call.headers:
            return FileResponse(path, headers=_FILE)
        # A file may be replaced while it is sent, so it is read at once.
        with path.open("rb") as opened:
            modified = os.fstat(opened.fileno()).st_mtime
            return Response(opened.read(), headers={**_FILE, "last-modified": formatdate(modified, usegmt=True)})

    def _head_file(self, call: Call) -> Response:
        found = self._file(call).stat()
        headers = {"content-length": str(found.st_size), "last-modified": formatdate(found.st_mtime, usegmt=True)}
        return Response(headers={**_FILE, **headers})

    def _put_file(self, call: Call) -> Response:
        path = self.place(call.names["path"])
        if path.is_dir():
            raise ApiError(400, "INVALID_PARAMETER_VALUE", "The given path points to an existing directory.")
        if path.exists() and not call.flag("overwrite"):
            raise ApiError(409, "ALREADY_EXISTS", "The file being created already exists.")
        try:
            write_whole(path, call.raw)
        except (FileExistsError, NotADirectoryError) as error:
            raise invalid("A part of the path is a file.") from error
        return Response(status_code=204)

    def _delete_file(self, call: Call) -> Response:
        self._file(call).unlink(missing_ok=True)
        return Response(status_code=204)

    # Directories

    def _directory(self, call: Call) -> Path:
        path = self.place(call.names["path"])
        if not path.is_dir():
            raise not_found("NOT_FOUND", "The directory being accessed is not found.")
        return path

    def _list(self, call: Call) -> Answer:
        directory = self._directory(call)
        size = min(call.number("page_size", _PAGE, 1, 2**31), _PAGE)
        after = _decoded(call.query.get("page_token", ""))
        names = sorted(name for name in os.listdir(directory) if name > after)
        shown = "/" + "/".join(part for part in call.names["path"].split("/") if part)
        contents = [
            entry for name in names[:size] if (entry := _entry(directory / name, f"{shown}/{name}")) is not None
        ]
        document: dict[str, Any] = {"contents": contents} if contents else {}
        if len(names) > size:
            document["next_page_token"] = base64.urlsafe_b64encode(names[size - 1].encode()).decode()
        return Answer(document)

    def _head_directory(self, call: Call) -> Response:
        self._directory(call)
        return Response()

    def _make_directory(self, call: Call) -> Response:
        try:
            self.place(call.names["path"]).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ApiError(409, "ALREADY_EXISTS", "A part of the path is a file.") from error
        return Response(status_code=204)

    def _delete_directory(self, call: Call) -> Response:
        directory = self._directory(call)
        if len([part for part in call.names["path"].split("/") if part]) == 4:
            raise invalid("A volume is not deleted through the Files API.")
        try:
            directory.rmdir()
        except FileNotFoundError:
            return Response(status_code=204)
        except OSError as error:
            # Assumed: status and code.
            raise ApiError(400, "DIRECTORY_NOT_EMPTY", "The directory is not empty.") from error
        return Response(status_code=204)


def _entry(path: Path, shown: str) -> dict[str, Any] | None:
    """One entry of a listing; None for what has gone meanwhile."""
    try:
        found = path.stat()
    except OSError:
        return None
    entry: dict[str, Any] = {"path": shown, "name": path.name, "is_directory": path.is_dir()}
    entry["last_modified"] = int(found.st_mtime * 1000)
    if not entry["is_directory"]:
        entry["file_size"] = found.st_size
    return entry


def _decoded(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid(f"Invalid page token: {token}") from None
