"""Writes to a server as clients of InfluxDB do, and holds what its own API answers against what they wrote."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

URL = sys.argv[1]
HOST, PORT = URL.removeprefix("http://").split(":")
# 2026-05-04T06:00:00Z
START = 1_777_874_400
COUNT = 10_000


def call(method, path, body=None, token=None, kind="application/json"):
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    request = urllib.request.Request(URL + path, method=method, data=body)
    request.add_header("Content-Type", kind)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def readings(token, equipment):
    path, found = f"/api/data/?equipment={equipment}&ordering=timestamp&page_size=1000", []
    while path:
        page = call("GET", path, token=token)
        found += page["results"]
        path = page["next"]
    return found


def expect(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}: {found!r} instead of {wanted!r}")


def official_client(admin, key, equipment):
    """Batches with a bad line in the middle, packed; everything but that line arrives, to the last bit."""
    with InfluxDBClient(url=URL, token=key, org="plant", enable_gzip=True) as client:
        assert client.ping(), "the client does not find the server"
        expect("health", client.health().status, "pass")
        write = client.write_api(write_options=SYNCHRONOUS).write
        points = [
            Point("hydraulics")
            .tag("serial_number", "IX-1")
            .field("pressure", 180 + number / 7)
            .field("strokes", number)
            .field("running", number % 2 == 0)
            .field("mode", f"shift {number % 3}")
            .time(START + number, WritePrecision.S)
            for number in range(1000)
        ]
        write("bucket", record=points, write_precision=WritePrecision.S)
        lines = [point.to_line_protocol() for point in points[:500]]
        lines.insert(250, "hydraulics,serial_number=IX-1 pressure=much")
        lines += [f"hydraulics,serial_number=IX-1 late={number}i {START + 5000 + number}" for number in range(5)]
        try:
            write("bucket", record="\n".join(lines), write_precision=WritePrecision.S)
            raise SystemExit("a bad line was taken")
        except ApiException as refusal:
            told = json.loads(refusal.body)
            expect("status, code and line", (refusal.status, told["code"], told["line"]), (400, "invalid", 251))
            assert told["message"].startswith("partial write: 1 of 506"), told
        write("bucket", record=f'note,serial_number=IX-1 text="two\nlines, and no number" {START + 9000}', write_precision=WritePrecision.S)
    stored = readings(admin, equipment)
    expect("readings", len(stored), 1006)
    expect("text alone", (stored[-1]["values"], stored[-1]["attributes"]), ({}, {"note.text": "two\nlines, and no number"}))
    for number, reading in enumerate(stored[:1000]):
        wanted = {"hydraulics.pressure": 180 + number / 7, "hydraulics.strokes": number}
        expect("values", reading["values"], wanted)
        attributes = {"hydraulics.running": number % 2 == 0, "hydraulics.mode": f"shift {number % 3}"}
        expect("attributes", reading["attributes"], attributes)


def official_importer(admin, key, equipment):
    """`influx -import` makes its database and loads a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as dump:
        dump.write("# DDL\nCREATE DATABASE plant\n# DML\n# CONTEXT-DATABASE: plant\n# CONTEXT-RETENTION-POLICY: autogen\n")
        for number in range(COUNT):
            dump.write(f"oven,host=IX-2 temperature={number / 8},heats={number}i {START + number}\n")
        dump.flush()
        command = ["influx", "-host", HOST, "-port", PORT, "-username", "any", "-password", key]
        command += ["-import", "-path", dump.name, "-precision", "s"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    told = ran.stdout + ran.stderr
    if ran.returncode or f"Processed {COUNT} inserts" not in told or "Failed 0 inserts" not in told:
        raise SystemExit(f"influx -import: {told}")
    stored = readings(admin, equipment)
    expect("imported readings", len(stored), COUNT)
    for number, reading in enumerate(stored):
        expect("values", reading["values"], {"oven.temperature": number / 8, "oven.heats": number})


def telegraf(admin, key, equipment):
    """Telegraf reports what it finds on this machine, by both of its outputs."""
    if not shutil.which("telegraf"):
        return False
    for output, settings in [
        ("influxdb_v2", f'urls = ["{URL}"]\ntoken = "{key}"\norganization = "plant"\nbucket = "b"'),
        ("influxdb", f'urls = ["{URL}"]\nusername = "any"\npassword = "{key}"\ndatabase = "plant"'),
    ]:
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            config.write(f'[agent]\nhostname = "IX-3"\ninterval = "1s"\nflush_interval = "1s"\n[[outputs.{output}]]\n{settings}\n')
            config.write("[[inputs.cpu]]\n[[inputs.mem]]\n[[inputs.system]]\n")
            config.flush()
            ran = subprocess.run(
                ["telegraf", "--config", config.name, "--once"], capture_output=True, text=True, check=False, timeout=60
            )
        if ran.returncode or " E! " in ran.stderr:
            raise SystemExit(f"telegraf: {ran.stderr}")
    found = set().union(*(reading["values"] for reading in readings(admin, equipment)))
    assert {"mem.used_percent", "system.load1"} <= found, found


def compare_speed(key):
    """The same readings as points and as JSON by the line, to nobody's credit: what it tells depends on the build."""
    lines = "".join(f"m,equipment=IX-4 a={n / 8},b={n}i,c=0.5 {START + n}\n" for n in range(COUNT)).encode()
    stamps = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + n)) for n in range(COUNT))
    values = ({"m.a": n / 8, "m.b": n, "m.c": 0.5} for n in range(COUNT))
    ndjson = "".join(
        json.dumps({"equipment": "IX-5", "timestamp": at, "values": value}) + "\n" for at, value in zip(stamps, values)
    ).encode()
    begun = time.monotonic()
    request = urllib.request.Request(URL + "/api/v2/write?precision=s", method="POST", data=lines)
    request.add_header("Authorization", f"Token {key}")
    with urllib.request.urlopen(request) as answer:
        expect("status", answer.status, 204)
    points = time.monotonic() - begun
    begun = time.monotonic()
    told = call("POST", "/api/data/bulk", ndjson, key, "application/x-ndjson")
    expect("accepted", told["accepted"], COUNT)
    print(f"{COUNT} readings of three values: {points:.2f} s as points, {time.monotonic() - begun:.2f} s as NDJSON")


def main():
    account = {"username": "admin", "password": os.environ["TECHTRACK_ADMIN_PASSWORD"]}
    admin = call("POST", "/api/token/", account)["access"]
    pieces = [
        call("POST", "/api/equipment/", {"name": f"Piece {n}", "type": "press", "serial_number": f"IX-{n}"}, admin)["id"]
        for n in range(1, 6)
    ]
    key = call("POST", "/api/api-keys/", {"name": "gateway", "permissions": ["data:write"]}, admin)["secret"]
    for number, client in enumerate([official_client, official_importer, telegraf]):
        tried = client(admin, key, pieces[number])
        print(f"{client.__name__}: {'not installed here, NOT TRIED' if tried is False else 'as it should be'}")
    compare_speed(key)


main()
