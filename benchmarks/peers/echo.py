"""
The floor: a bare poller that answers every line with a fixed one. No protocol, no state, no
Twisted.
"""

from __future__ import annotations

import select
import socket

ANSWER = b"a OK NOOP completed\r\n"


def serve(listening: socket.socket) -> None:
    """
    Until it is killed.
    """
    poller = select.epoll()
    poller.register(listening.fileno(), select.EPOLLIN)
    at_door = listening.fileno()
    connections: dict[int, socket.socket] = {}
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == at_door:
                made, _ = listening.accept()
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[made.fileno()] = made
                poller.register(made.fileno(), select.EPOLLIN)
                continue
            connection = connections[descriptor]
            data = connection.recv(65536)
            if not data:
                poller.unregister(descriptor)
                connections.pop(descriptor).close()
                continue
            lines = data.count(b"\n")
            connection.send(ANSWER if lines == 1 else ANSWER * lines)


def main() -> None:
    """
    Listen on a free port.
    """
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listening.getsockname()[1], flush=True)
    serve(listening)


if __name__ == "__main__":
    main()
