"""A receiver of webhooks that needs nothing but Python: `python receive.py PORT whsec_…`.

It verifies each delivery, and prints each event once, as JSON on a line.
"""

import base64
import hashlib
import hmac
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

SEEN = set()  # a real receiver keeps these ids in its database, for four days


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        id_, timestamp = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        signed = f"{id_}.{timestamp}.".encode() + body
        expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        signatures = self.headers["webhook-signature"].split(" ")
        genuine = any(hmac.compare_digest(f"v1,{expected}", each) for each in signatures)
        if not genuine or abs(time.time() - int(timestamp)) > 300:  # noqa: TID251
            return self.send(400)
        if id_ not in SEEN:
            print(body.decode(), flush=True)
            SEEN.add(id_)
        return self.send(204)

    def send(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        """Keep standard output for events."""


KEY = base64.b64decode(sys.argv[2].removeprefix("whsec_"))
HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
