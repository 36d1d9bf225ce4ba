"""Takes deliveries of webhooks and checks them with the Standard Webhooks library.

    webhook_receiver.py PORT SECRET DIRECTORY

Each delivery that verifies is written to DIRECTORY under its message id; what does not verify is answered 400 and written
as `refused-…`. A delivery that was changed on the way must not verify: each is tried with one letter more, too.
"""

import json
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

port, secret, directory = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
webhook = Webhook(secret)


def verifies(body: bytes, headers: dict) -> bool:
    try:
        webhook.verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        message = headers.get("webhook-id", "nameless")
        forged = dict(headers, **{"webhook-id": message + "x"})
        good = verifies(body, headers)
        tampered = verifies(body + b" ", headers) or verifies(body, forged)
        name = message if good and not tampered else f"refused-{message}"
        with open(directory / name, "a") as file:
            file.write(json.dumps(json.loads(body)) + "\n")
        self.send_response(204 if good and not tampered else 400)
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
