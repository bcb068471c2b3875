"""Connects to the socket ARGV[2] and sends the connection over the socket ARGV[1], with the pid of a child that has it too, or 0.

ARGV[3] is the user to be, or `-`. ARGV[4] says what to do besides: `fork` a child that keeps the connection, connect in a `thread` that
ends, or `exec` another program.
"""

import os
import signal
import socket
import sys
import threading

control = socket.socket(fileno=int(sys.argv[1]))
connection = socket.socket(socket.AF_UNIX)
what = sys.argv[4] if len(sys.argv) > 4 else ""

if sys.argv[3] != "-":
    user = int(sys.argv[3])
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)

if what == "thread":
    thread = threading.Thread(target=connection.connect, args=(sys.argv[2],))
    thread.start()
    thread.join()
else:
    connection.connect(sys.argv[2])

child = 0
if what == "fork":
    child = os.fork()
    if child == 0:
        control.close()
        while True:
            signal.pause()

socket.send_fds(control, [str(child).encode()], [connection.fileno()])
control.close()
if what == "exec":
    os.execv("/bin/sleep", ["sleep", "1000"])
while True:
    signal.pause()
