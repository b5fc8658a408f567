"""A server of raw sockets that misbehaves on purpose, each connection in its own thread.

A script is what one connection does: `read` takes a whole request and counts it, bytes are sent,
`wait` lets a moment pass, `reset` tears the connection down, `hang` waits for the other side,
`close` says goodbye. `done` tells which acts are over. With *tls* all of it is inside TLS.
"""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

Script = Sequence[str | bytes]


def answer(body: bytes, *, announced: int | None = None, keep: bool = True) -> bytes:
    length = len(body) if announced is None else announced
    connection = "keep-alive" if keep else "close"
    head = f"HTTP/1.1 201 Created\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n"
    return head.encode() + body


class RawServer:
    """Plays one script a connection, the last one for ever."""

    def __init__(self, scripts: Sequence[Script], tls: ssl.SSLContext | None) -> None:
        self.requests: list[bytes] = []
        self.heads: list[bytes] = []
        self.connections = self.closed = 0
        self.done: list[str | bytes] = []
        self._scripts = scripts
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._play, args=(connection, script), daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _play(self, connection: socket.socket, script: Script) -> None:
        with suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            for act in script:
                match act:
                    case bytes():
                        connection.sendall(act)
                    case "read":
                        self._read(connection)
                    case "wait":
                        time.sleep(0.1)
                    case "hang":
                        self.closed += connection.recv(1) == b""
                    case _:
                        self._end(connection, reset=act == "reset")
                self.done.append(act)
            connection.close()

    def _read(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return
            data += more
        head, _, begun = data.partition(b"\r\n\r\n")
        body = bytearray(begun)
        length = next(
            (
                int(line[15:])
                for line in head.lower().split(b"\r\n")
                if line[:15] == b"content-length:"
            ),
            0,
        )
        while len(body) < length and (more := connection.recv(65536)):
            body += more
        self.heads.append(head)
        self.requests.append(bytes(body))

    def _end(self, connection: socket.socket, *, reset: bool) -> None:
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


@contextmanager
def raw_server(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(scripts, tls)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)
