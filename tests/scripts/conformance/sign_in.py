"""Signs schemathesis in as the administrator, again and again: what it sends may well end its own session."""

import os

import requests
import schemathesis


@schemathesis.auth(refresh_interval=5)
class SignIn:
    def get(self, case, context):
        answer = requests.post(
            os.environ["TECHTRACK_URL"] + "/api/token/",
            json={"username": "admin", "password": os.environ["TECHTRACK_ADMIN_PASSWORD"]},
            timeout=10,
        )
        answer.raise_for_status()
        return answer.json()["access"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
