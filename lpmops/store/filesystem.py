"""Where a store may lie: SQLite's locks can't be trusted on a network file system (sqlite.org/wal.html, "all processes must be on the same host").

Detected on Linux by the mount table and on Windows by a UNC path; elsewhere nothing is claimed.
"""

from __future__ import annotations

from pathlib import Path

_NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "ceph",
        "lustre",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
    }
)
_MOUNTS = Path("/proc/self/mountinfo")


def network_type(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the network file system that holds `path`, or None where it is local or can't be told."""
    resolved = path.resolve()
    if str(resolved).startswith("\\\\"):
        return "network share"
    try:
        text = mounts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    kind = _kind_of(resolved, text)
    return kind if kind in _NETWORK else None


def _kind_of(path: Path, mountinfo: str) -> str:
    """The file system type of the deepest mount above `path`; a later line covers an earlier one (proc(5), mountinfo)."""
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = Path(fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        depth = len(point.parts)
        if depth >= best and (path == point or point in path.parents):
            best, kind = depth, right.split(" ")[0]
    return kind
