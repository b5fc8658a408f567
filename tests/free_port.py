"""A port of this machine that is free."""

import socket


def free_port() -> int:
    """Return a port that nothing listens on; it has to be taken soon."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
