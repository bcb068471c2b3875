"""A lock that all workers share, put into the WSGI environ by a server hook.

gunicorn makes the environ of a request from its headers: ``FLASK-LOCK`` becomes ``HTTP_FLASK_LOCK``. The value is
handed on as it is, so it may be a lock.
"""

import lockd

# Made in gunicorn's master. It connects when it is first used, in the worker that uses it.
lock = lockd.Lock("counter", note="gunicorn_environ_lock")


def pre_request(worker, req):
    """Put the lock among the headers of the request, and take out what the client sent under its name.

    gunicorn joins headers that become the same key of the environ with a comma, which a lock does not survive; and
    what a client says must not pass for the lock. ``Flask-Lock`` becomes that key, and so does ``Flask_Lock``, if the
    setting ``header_map`` lets it in.
    """
    worker.log.debug("%s %s", req.method, req.path)
    sent = [header for header in req.headers if header[0].upper().replace("-", "_") != "FLASK_LOCK"]
    req.headers = [*sent, ("FLASK-LOCK", lock)]
