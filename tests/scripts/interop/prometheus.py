"""Asks a Prometheus whether all is well with what it watches: prometheus.py URL DASHBOARD

No scrape may have failed, every rule must be evaluated without an error, and every query of the dashboard must return data.
"""

import json
import sys
import time
import urllib.parse
import urllib.request

PROMETHEUS, DASHBOARD = sys.argv[1:]
PATIENCE_SECONDS = 90
SCRAPES = 20
VARIABLES = {"$job": ".+", "$instance": ".+", "$__rate_interval": "15s"}


def ask(path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{PROMETHEUS}/api/v1/{path}?{query}", timeout=10) as answer:
        return json.load(answer)["data"]


def result_of(expression):
    return ask("query", query=expression)["result"]


def scalar(expression):
    result = result_of(expression)
    return float(result[0]["value"][1]) if result else 0.0


def queries():
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], substituted(target["expr"])


def substituted(expression):
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def is_answered(expression):
    return any(sample["value"][1] != "NaN" for sample in result_of(expression))


def await_data(asked):
    """Those that are not answered in the end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    missing = list(asked)
    while missing and time.monotonic() < deadline:
        missing = [(title, query) for title, query in missing if not is_answered(query)]
        time.sleep(1)
    return missing


def failing_rules():
    rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(rule["health"] == "unknown" for rule in rules) and time.monotonic() < deadline:
        time.sleep(1)
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    return len(rules), [f"{rule['name']}: {rule.get('lastError', rule['health'])}" for rule in rules if rule["health"] != "ok"]


def main():
    asked = list(queries())
    missing = await_data(asked)
    while scalar('count_over_time(up{job="techtrack"}[1h])') < SCRAPES:
        time.sleep(1)
    scrapes = scalar('count_over_time(up{job="techtrack"}[1h])')
    failed = scrapes - scalar('sum_over_time(up{job="techtrack"}[1h])')
    errors = [target["lastError"] for target in ask("targets")["activeTargets"] if target["lastError"]]
    rules, wrong = failing_rules()
    firing = sorted({alert["labels"]["alertname"] for alert in ask("alerts")["alerts"] if alert["state"] == "firing"})
    print(f"{scrapes:.0f} scrapes, {failed:.0f} failed; {rules} rules, {len(wrong)} in error; firing: {firing or 'none'}")
    print(f"{len(asked)} queries of the dashboard, {len(missing)} without data")
    for title, query in missing:
        print(f"  no data: {title}: {query}", file=sys.stderr)
    for problem in errors + wrong:
        print(f"  {problem}", file=sys.stderr)
    return 1 if missing or failed or errors or wrong or firing else 0


sys.exit(main())
