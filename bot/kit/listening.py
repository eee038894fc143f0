"""Where a server takes calls."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes a free one. Raises OSError where that is not possible."""
    listener = socket.create_server((host, port))
    # Passed on to every connection that is accepted. The head and the body of an answer leave as two pieces;
    # without this the second waits until the caller has confirmed the first, which takes it up to 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
