"""A lock that all workers share, put into the WSGI environ by a server hook.

gunicorn makes the environ of a request from its headers: ``FLASK-LOCK`` becomes ``HTTP_FLASK_LOCK``. The value is
handed on as it is, so it may be a lock.
"""

import lockd.gunicorn

# Made in gunicorn's master. It connects when it is first used, in the worker that uses it.
pre_request = lockd.gunicorn.environ_lock("counter", note="gunicorn_environ_lock")
