"""An SSH server on a free port of this machine that lets anybody in: says its port, then serves until it is killed.

Its session tells the size of the terminal and what becomes of it, says what keys come, and ends with 7 at a q.
"""

from __future__ import annotations

import asyncio

import asyncssh


class Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


async def session(process: asyncssh.SSHServerProcess[str]) -> None:
    process.stdout.write("size {}x{}\r\n".format(*process.term_size))
    while True:
        try:
            key = await process.stdin.read(1)
        except asyncssh.TerminalSizeChanged as change:
            process.stdout.write(f"size {change.width}x{change.height}\r\n")
            continue
        if key in ("", "q"):
            process.exit(7)
            return
        process.stdout.write(f"key {ord(key)}\r\n")


async def main() -> None:
    server = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=session,
        # Keys come as they are typed.
        line_editor=False,
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


asyncio.run(main())
