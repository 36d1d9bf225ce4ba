"""Signs schemathesis in, again and again: what it sends may end its session, reset its password or delete its account.

So it works its way through a row of administrators, of whom the first only creates the others.
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


def appoint_spares():
    first = {"Authorization": f"Bearer {token_of('admin')}"}
    for name in SPARES:
        account = {"username": name, "password": PASSWORD, "roles": ["ADMIN"]}
        requests.post(f"{API}/users/", json=account, headers=first, timeout=10).raise_for_status()


appoint_spares()


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
