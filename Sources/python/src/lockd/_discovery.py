"""Where the daemon is, and what to say when it is not there."""

from __future__ import annotations

import errno
import grp
import os

from ._errors import DaemonUnavailable

#: The socket of the machine's daemon.
DEFAULT_SOCKET = "/run/lockd/lockd.sock"


def socket_path(socket: str | os.PathLike[str] | None, user: bool) -> str:
    """The absolute path of the socket: the argument, else ``$LOCKD_SOCKET``, else ``/run/lockd/lockd.sock``.

    With ``user`` it is that of the user's own daemon, ``$XDG_RUNTIME_DIR/lockd/lockd.sock``. Nothing else is looked
    for: two places to look at would be two daemons that both grant the same name.

    :raises DaemonUnavailable: if ``user`` is asked for and ``$XDG_RUNTIME_DIR`` is not set.
    """
    if user and socket is not None:
        raise ValueError("give a socket or user=True, not both")
    if user:
        return _user_socket()
    path = os.fspath(socket) if socket is not None else os.environ.get("LOCKD_SOCKET") or DEFAULT_SOCKET
    if not path:
        raise ValueError("the path of the socket is empty")
    return os.path.abspath(path)


def unavailable(path: str, error: OSError) -> DaemonUnavailable:
    """The error for a connect() that failed."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return DaemonUnavailable(path, reason, f"Start it with {_start_command(path)}", error.errno)
    if error.errno == errno.EACCES:
        return DaemonUnavailable(path, reason, _permission_advice(path), error.errno)
    return DaemonUnavailable(path, reason, "", error.errno)


def _user_socket() -> str:
    directory = os.environ.get("XDG_RUNTIME_DIR")
    if not directory:
        path = "$XDG_RUNTIME_DIR/lockd/lockd.sock"
        raise DaemonUnavailable(path, "XDG_RUNTIME_DIR is not set", "Log in, or give the socket's path")
    return os.path.join(directory, "lockd", "lockd.sock")


def _start_command(path: str) -> str:
    if path == DEFAULT_SOCKET:
        return f"`systemctl start lockd`, or `lockd --socket {path}`"
    if os.environ.get("XDG_RUNTIME_DIR") and path == _user_socket():
        return "`systemctl --user start lockd`, or `lockd --user`"
    return f"`lockd --socket {path}`"


def _permission_advice(path: str) -> str:
    group: str | None = None
    try:
        number = os.stat(path).st_gid
        group = str(number)
        group = grp.getgrgid(number).gr_name
    except (OSError, KeyError):
        pass
    who = f"group {group}" if group is not None else "the group of its directory"
    return f"This user may not use it: it is for {who} (`usermod -a -G GROUP USER`, then log in anew)"
