"""Signs schemathesis in, again and again: what it sends may end its session, reset its password or delete its account.

So it works its way through a row of administrators, of whom the first only creates the others, and a small plant, so that
the first ids of everything mean something.
"""

import os

import requests
import schemathesis

API = os.environ["CONFORMANCE_URL"] + "/api"
PASSWORD = os.environ["TECHTRACK_ADMIN_PASSWORD"]
SPARES = [f"spare-{number}" for number in range(50)]


def token_of(username):
    """An access token, or None when the account is no longer what it was."""
    answer = requests.post(f"{API}/token/", json={"username": username, "password": PASSWORD}, timeout=10)
    return answer.json()["access"] if answer.ok else None


def prepare():
    first = {"Authorization": f"Bearer {token_of('admin')}"}

    def create(path, body):
        requests.post(f"{API}/{path}", json=body, headers=first, timeout=10).raise_for_status()

    for name in SPARES:
        create("users/", {"username": name, "password": PASSWORD, "roles": ["ADMIN"]})
    for number in range(1, 6):
        create("equipment/", {"name": f"Press {number}", "type": "press", "serial_number": f"P-{number}"})
    create("alert-rules/", {"name": "Too hot", "metric": "temperature", "operator": ">", "threshold": 80})
    for number in range(1, 6):
        create(f"equipment/{number}/maintenance/", {"what": "Oiled"})
        create("data/", {"equipment": number, "values": {"temperature": 90, "pressure": 3.5}})
        create("alerts/", {"equipment": number, "description": "It rattles"})


prepare()


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """What is made up for a body of lines is text already, or stands for itself."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.auth(refresh_interval=5)
class SignIn:
    def get(self, case, context):
        while SPARES:
            if token := token_of(SPARES[-1]):
                return token
            SPARES.pop()
        raise RuntimeError("every administrator was done away with")

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
