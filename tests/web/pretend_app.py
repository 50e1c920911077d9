"""Stands in for the app under the web server: speaks its packets, and misbehaves as the first argument says.

`echo` shows its size, environment and what is typed, saves a file at `s` and ends when asked or at `q`; `hang` heeds nothing; `refuse` ends before it
opens; `die` opens and ends at the first key; `garbage` opens and writes what is no packet.
"""

import json
import os
import signal
import sys

from textual._binary_encode import dump


def send(kind: bytes, payload: bytes) -> None:
    os.write(1, kind + len(payload).to_bytes(4, "big") + payload)


def receive() -> tuple[bytes, bytes]:
    kind = sys.stdin.buffer.read(1)
    size = int.from_bytes(sys.stdin.buffer.read(4), "big")
    return kind, sys.stdin.buffer.read(size)


def main(manner: str) -> int:
    if manner == "refuse":
        sys.stderr.write("error: No configuration found.\n  Make one with: lpmops init\x1b[2J\n")
        return 2
    os.write(1, b"__GANGLION__\n")
    if manner == "garbage":
        os.write(1, b"not a packet at all")
        return 0
    if manner == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    kept = {name: os.environ.get(name) for name in ("COLUMNS", "ROWS", "LPMOPS_READ_ONLY", "HUSHED", "TEXTUAL_DRIVER")}
    send(b"D", json.dumps({**kept, "pid": os.getpid()}).encode())
    chunks = [b"<script>alert(1)</script>", b""]
    while True:
        kind, payload = receive()
        if kind == b"D" and manner == "die":
            sys.stderr.write("error: the terminal burned down\n")
            return 70
        if kind == b"D":
            send(b"D", b"typed " + payload)
            if payload == b"s":
                saved = {
                    "key": "k1",
                    "path": "/tmp/table.html",
                    "open_method": "browser",
                    "mime_type": "text/html",
                    "encoding": "utf-8",
                }
                send(b"M", json.dumps({"type": "deliver_file_start", **saved}).encode())
            if payload == b"q":
                send(b"M", json.dumps({"type": "exit"}).encode())
                return 0
        elif manner != "hang" and kind == b"M":
            said = json.loads(payload)
            if said["type"] == "deliver_chunk_request":
                send(b"P", dump(("deliver_chunk", said["key"], chunks.pop(0))))
            send(b"D", b"told " + json.dumps(said, sort_keys=True).encode())
            if said["type"] == "quit":
                send(b"M", json.dumps({"type": "exit"}).encode())
                return 0
        elif not kind and manner != "hang":
            return 0
        elif not kind:
            signal.pause()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
