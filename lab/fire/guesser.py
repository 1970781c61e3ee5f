"""Guesses passwords at the example's log-in page, on its own host, from an address of its own below 127.0.0.0/8. Standard library only."""

import http.client
import http.cookies
import re
import secrets
import socket
import ssl
import sys
import time
import urllib.parse

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def ask(context: ssl.SSLContext, source: str, method: str, form: dict[str, str] | None, cookie: str) -> tuple[str, str]:
    """Make one request; return the page and the cookie that came with it."""
    plain = socket.create_connection(("127.0.0.1", 8443), timeout=30, source_address=(source, 0))
    connection = http.client.HTTPSConnection("app", 8443, context=context)
    connection.sock = context.wrap_socket(plain, server_hostname="app")
    headers = {"Referer": "https://app:8443/", "Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request(method, "/login/", urllib.parse.urlencode(form) if form else None, headers)
        answer = connection.getresponse()
        page = answer.read().decode()
        cookies = http.cookies.SimpleCookie(answer.headers.get("Set-Cookie", ""))
        return page, "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items()) or cookie
    finally:
        connection.close()


def main() -> None:
    """Guess until stopped, once a second."""
    context = ssl.create_default_context(cafile=sys.argv[1])
    source = f"127.{secrets.randbelow(200) + 10}.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}"
    page, cookie = ask(context, source, "GET", None, "")
    while True:
        found = TOKEN.search(page)
        form = {
            "username": "guessed@example.org",
            "password": secrets.token_hex(6),
            "csrfmiddlewaretoken": found[1] if found else "",
        }
        page, cookie = ask(context, source, "POST", form, cookie)
        time.sleep(0.7)


if __name__ == "__main__":
    main()
