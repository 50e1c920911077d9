"""Files that are replaced whole: a reader, and the next process after a kill -9, finds the old content or the new one, never a part.

For state that is small and rewritten; what is appended to (the hub's log) or must not be overwritten (a table's commit) has rules of its own.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_whole(path: Path, content: str | bytes, *, mode: int = 0o666, synced: bool = False) -> None:
    """Replace a file, or make it with its folders. `mode` is narrowed by the umask; `synced` outlives a loss of power too.

    Raises OSError (a full disk), and then leaves the old content in place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each writer, and a short one: the file's own name may already be as long as names can be.
    draft = path.with_name(f".{uuid.uuid4()}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
