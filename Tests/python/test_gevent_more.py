"""Greenlets that watch, that are told how a wait goes, and that hold what is bound."""

from __future__ import annotations

import pytest
from conftest import Daemon, RunProgram

import lockd

pytest.importorskip("gevent")

# Patched after the import, as in gunicorn's workers under --preload.
HEADER = """
import os
import lockd
from gevent import monkey
monkey.patch_all()
import gevent
from gevent.event import Event
"""


def test_greenlet_is_told_how_its_wait_goes_while_others_run(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        HEADER
        + """
told, leave = Event(), Event()

def tell(progress):
    assert gevent.getcurrent() is waiting
    print(progress.position, progress.holder.note.decode())
    told.set()
    leave.wait()

def work():
    with lockd.Lock("gevent", progress=tell, owner=lockd.thread_owner):
        print("granted")

waiting = gevent.spawn(work)
told.wait()
with lockd.Lock("other"):
    print("other")
leave.set()
waiting.join()
""",
        own_daemon,
    )
    with lockd.Lock("gevent", note="the test's"):
        assert program.hear() == "1 the test's"
        assert program.hear() == "other"
    assert program.hear() == "granted"
    program.finish()


def test_greenlet_that_watches_lets_the_others_run(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        HEADER
        + """
seen = Event()

def work():
    for event in watch:
        print(event.kind)
        seen.set()
    print("end")

with lockd.Client().watch() as watch:
    watching = gevent.spawn(work)
    gevent.sleep(0)
    with lockd.Lock("gevent"):
        seen.wait()
        watch.close()
    watching.join()
""",
        own_daemon,
    )
    assert program.finish().splitlines() == ["granted", "end"]


def test_greenlet_sends_descriptors(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        HEADER
        + """
lock = lockd.Lock("gevent", bind_to=lockd.BindTo.process(os.getpid()))
waiting = gevent.spawn(lock.acquire)
waiting.join()
print(waiting.value, lock.lease.bound)
input()
""",
        own_daemon,
    )
    assert program.hear() == "True True"
    assert own_daemon.holder("gevent") == program.pid
    program.say()
    program.finish()
    own_daemon.await_holder("gevent", None)


def test_restart_of_the_daemon_blocks_no_greenlet(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        HEADER
        + """
lock = lockd.Lock("gevent")

def work():
    with lock as lease:
        print("granted", lease.lost)

waiting = gevent.spawn(work)
with lockd.Lock("held"):
    while len(lockd.Client().show("gevent")) < 2:
        gevent.sleep(0)
    print("waits")
    gevent.spawn(input).join()
    # There is no daemon. The others run meanwhile.
    for number in range(5):
        print("tick", number)
        gevent.sleep(0.01)
waiting.join()
""",
        own_daemon,
    )
    lock = lockd.Lock("gevent")
    lock.acquire()
    assert program.hear() == "waits"
    own_daemon.kill()
    program.say()
    assert [program.hear() for _ in range(5)] == [f"tick {number}" for number in range(5)]
    own_daemon.start()
    lock.release()
    assert program.hear() == "granted False"
    program.finish()


def test_task_that_is_stopped_while_it_waits_leaves_the_queue_at_once(own_daemon: Daemon, run: RunProgram) -> None:
    program = run(
        HEADER
        + """
import threading
task = lockd.run_once_per_host("gevent", lambda: print("start"))
task.start()
while len(lockd.Client().show("gevent")) < 2:
    gevent.sleep(0)
print(task.stop())
for thread in threading.enumerate():
    if thread.name == "lockd-once":
        thread.join()
print(len(lockd.Client().show("gevent")))
""",
        own_daemon,
    )
    with lockd.Lock("gevent"):
        assert program.finish().splitlines() == ["True", "1"]


def test_greenlets_have_their_turn_at_every_acquire_and_release(own_daemon: Daemon, run: RunProgram) -> None:
    """Also if the answer is there before it is waited for."""
    program = run(
        HEADER
        + """
turns = 0

def take_turns():
    global turns
    while True:
        gevent.sleep(0)
        turns += 1

lock = lockd.Lock("gevent")
gevent.spawn(take_turns)
gevent.sleep(0)
for _ in range(500):
    for step in (lock.acquire, lock.release):
        before = turns
        step()
        assert turns > before
print("done")
""",
        own_daemon,
    )
    assert program.hear() == "done"
    program.finish()
