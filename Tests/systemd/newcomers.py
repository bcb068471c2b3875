"""Connects over and over, as long as its input is open and until there were so many connections; then says how they fared.

Runs in the box: newcomers.py SOCKET COUNT. Says ``ready`` after the first answer, and at the end an object of JSON.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

#: How long a connection may take, in seconds.
PATIENCE = 30.0


def visit(path: str) -> str:
    """Connect, ask, hang up: ``answered``; ``cut``, if the daemon ended between accepting and answering; or why not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(path)
        except OSError as error:
            return f"refused: {error}"
        try:
            connection.sendall(b"PING\n")
            reply = connection.recv(100)
            # Of a connection that has outlived a daemon that is told first.
            while reply.startswith(b"* RESTORED ") and not reply.endswith(b"PONG\n"):
                rest = connection.recv(100)
                if not rest:
                    break
                reply += rest
        except ConnectionError:
            return "cut"
        except OSError as error:
            return f"not answered: {error}"
        if not reply:
            return "cut"
        # A reply may come twice.
        lines = set(reply.splitlines())
        return (
            "answered" if {line for line in lines if not line.startswith(b"* ")} == {b"PONG"} else f"wrong: {reply!r}"
        )


def main() -> None:
    """Visit until it is enough."""
    path, enough = sys.argv[1], int(sys.argv[2])
    outcomes: dict[str, int] = {}
    longest = 0.0
    count = 0
    while count < enough or not select.select([sys.stdin], [], [], 0)[0]:
        start = time.monotonic()
        outcome = visit(path)
        longest = max(longest, time.monotonic() - start)
        if outcome == "answered" and "answered" not in outcomes:
            print("ready", flush=True)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        count += 1
    print(json.dumps({"outcomes": outcomes, "longest": longest}))


if __name__ == "__main__":
    main()
