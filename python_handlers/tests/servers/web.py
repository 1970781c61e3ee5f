"""An application that logs when it is loaded, and five numbers for each request. For gunicorn and uWSGI."""

import os

from numbered_events import connect, log_numbers

connect()
log_numbers(0, 50)


def application(environ, start_response):
    first = int(environ["PATH_INFO"].strip("/"))
    log_numbers(first, first + 5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
