"""Every service that a notification goes to, on the host itself: webhook, Slack, PagerDuty, Opsgenie (HTTP) and a mail server (SMTP).

What comes is appended to the file of the first argument, one JSON document a line. Standard library only, Python 3.11 to 3.13.
"""

import http.server
import json
import socketserver
import sys
import threading

LOCK = threading.Lock()


def note(path, authorization, body):
    with LOCK, open(sys.argv[1], "a", encoding="utf-8") as file:
        file.write(json.dumps({"path": path, "authorization": authorization, "body": body}) + "\n")


class Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note(self.path, self.headers.get("Authorization", ""), body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        # Slack's answer; the others look at the status only.
        self.wfile.write(b"ok")


class Mail(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line + b"\r\n")

    def handle(self):
        self.say(b"220 localhost")
        while line := self.rfile.readline():
            command = line[:4].upper()
            if command == b"DATA":
                self.say(b"354 go on")
                lines = []
                while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                    lines.append(line.removeprefix(b"."))
                note("/mail", "", b"".join(lines).decode())
            self.say(b"221 bye" if command == b"QUIT" else b"250 ok")
            if command == b"QUIT":
                return


if __name__ == "__main__":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    mail = socketserver.ThreadingTCPServer(("127.0.0.1", 2525), Mail)
    threading.Thread(target=mail.serve_forever, daemon=True).start()
    http.server.ThreadingHTTPServer(("127.0.0.1", 9099), Web).serve_forever()
