"""Runs named steps, prints one table row each, and judges every answer against what the key's policy grants.

A step lists what it needs in the words of a policy (`scope:crm.objects.contacts.write`, `effect:delete`).
If all of it is granted the step must succeed; else it must fail with the client's own exception,
status 403, naming what is missing. Nothing else counts as a pass.
"""

import json


class Wrong(Exception):
    """An answer that came, but is not what was asked for."""


def check(condition, message):
    """Raises `Wrong` when `condition` does not hold: an answer that is wrong is a failed step."""
    if not condition:
        raise Wrong(message)


class Refusal:
    """What a client's exception says, read through the client's own attributes."""

    def __init__(self, status, body, headers):
        self.status = status
        self.body = json.loads(body) if isinstance(body, (str, bytes)) else (body or {})
        self.headers = {name.lower(): value for name, value in dict(headers or {}).items()}


class Steps:
    """The rows of one client's job.

    `refusal_of` turns an exception of the client into a `Refusal`, or returns None for any other exception.
    `forbidden` and `unauthorised` are the exception types the client documents for 403 and 401.
    """

    def __init__(self, client, granted, refusal_of, forbidden, unauthorised):
        self.client = client
        self.granted = set(granted)
        self.refusal_of = refusal_of
        self.forbidden = forbidden
        self.unauthorised = unauthorised
        self.failures = self.allowed = self.denied = 0
        print(row("step", "status", "what came back"))
        print(row("----", "------", "--------------"))

    def run(self, name, needs, work, opener=None):
        """Runs `work`, which returns (what came back, HTTP calls made) and raises `Wrong` for a wrong answer.

        `opener` names an operation that a policy may allow by itself, in place of every need.
        """
        missing = [] if opener in self.granted else [need for need in needs if need not in self.granted]
        try:
            came, calls = work()
        except Exception as error:  # every exception is judged: only the expected one is a pass
            refusal = self.refusal_of(error)
            if missing and refusal and isinstance(error, self.forbidden):
                fault = fault_of_denial(refusal, missing)
                if fault:
                    self.fail(name, refusal.status, fault)
                else:
                    self.denied += 1
                    lacks = refusal.body["errors"][0]["context"]["lacks"]
                    print(row(name, "403", f"{type(error).__name__}: {', '.join(lacks)}"))
            else:
                self.fail(name, refusal.status if refusal else "-", summary(error))
            return
        if missing:
            self.fail(name, "ok", f"passed, although the policy does not grant {', '.join(missing)}")
            return
        self.allowed += calls
        print(row(name, "ok", came))

    def must_be_denied_properties(self, name, properties, work):
        """Runs `work`, which must end in the client's own exception for 403, naming exactly the hidden `properties`."""
        try:
            work()
        except Exception as error:  # every exception is judged: only the expected one is a pass
            refusal = self.refusal_of(error)
            fault = (
                f"not the client's exception: {summary(error)}"
                if refusal is None or not isinstance(error, self.forbidden)
                else fault_of_hidden(refusal, properties)
            )
            if fault:
                self.fail(name, refusal.status if refusal else "-", fault)
            else:
                self.denied += 1
                place = refusal.body["errors"][0]["in"]
                print(row(name, "403", f"{type(error).__name__}: {', '.join(properties)} in {place}"))
            return
        self.fail(name, "ok", f"passed, although the policy hides {', '.join(properties)}")

    def must_be_unauthorised(self, name, sub_category, work):
        """Runs `work`, which must end in the client's own exception for 401, telling the caller the key is at fault."""
        try:
            work()
        except Exception as error:  # every exception is judged: only the expected one is a pass
            refusal = self.refusal_of(error)
            fault = (
                f"not the client's exception: {summary(error)}"
                if refusal is None or not isinstance(error, self.unauthorised)
                else fault_of_unauthorised(refusal, sub_category)
            )
            if fault:
                self.fail(name, refusal.status if refusal else "-", fault)
            else:
                print(row(name, "401", f"{type(error).__name__}: {sub_category}"))
            return
        self.fail(name, "ok", "passed with a key that must not work")

    def fail(self, name, status, why):
        self.failures += 1
        print(row(name, str(status), f"UNEXPECTED {why}"))

    def finish(self):
        """Prints the totals the driver compares with /metrics and returns the exit status."""
        print(f"{self.client} calls allowed={self.allowed} denied={self.denied}")
        if self.failures:
            print(f"{self.client}: {self.failures} steps did not go as the policy says")
        return 1 if self.failures else 0


def fault_of_denial(refusal, missing):
    """What is wrong with a denial, or None: status, envelope, and that it names exactly the scopes that are missing."""
    body = refusal.body
    context = (body.get("errors") or [{}])[0].get("context") or {}
    scopes = sorted(need.removeprefix("scope:") for need in missing if need.startswith("scope:"))
    wanted = [f"scope:{scope}" for scope in scopes] or missing
    lacks = context.get("lacks") or []
    unnamed = [need for need in wanted if need not in lacks]
    decision = refusal.headers.get("x-scopegate-decision", "")
    for fault, found in [
        (refusal.status != 403, f"status {refusal.status}, expected 403"),
        (body.get("status") != "error", f"status member {body.get('status')}"),
        (body.get("category") != "MISSING_SCOPES", f"category {body.get('category')}"),
        (body.get("subCategory") != "scopegate.denied", f"subCategory {body.get('subCategory')}"),
        (not body.get("message", "").startswith("scopegate"), "the message does not say that scopegate answered"),
        (not body.get("correlationId"), "no correlationId"),
        (not decision.startswith(f"deny; id={body.get('correlationId')}"), f"x-scopegate-decision {decision}"),
        (bool(unnamed), f"lacks is {lacks}, without {unnamed}"),
        (sorted(context.get("requiredScopes") or []) != scopes,
         f"requiredScopes is {context.get('requiredScopes')}, expected {scopes}"),
        (sorted(context.get("requiredGranularScopes") or []) != scopes,
         f"requiredGranularScopes is {context.get('requiredGranularScopes')}, expected {scopes}"),
    ]:
        if fault:
            return found
    return None


def fault_of_hidden(refusal, properties):
    """What is wrong with a denial for properties, or None."""
    body = refusal.body
    listed = (body.get("context") or {}).get("deniedProperties")
    for fault, found in [
        (refusal.status != 403, f"status {refusal.status}, expected 403"),
        (body.get("subCategory") != "scopegate.property", f"subCategory {body.get('subCategory')}"),
        (not body.get("message", "").startswith("scopegate"), "the message does not say that scopegate answered"),
        (listed != properties, f"deniedProperties is {listed}, expected {properties}"),
        (not (body.get("errors") or [{}])[0].get("in"), "nothing says where the property stands"),
        (refusal.headers.get("x-should-retry") != "false", "x-should-retry is not false"),
    ]:
        if fault:
            return found
    return None


def fault_of_unauthorised(refusal, sub_category):
    """What is wrong with a 401, or None."""
    body = refusal.body
    for fault, found in [
        (refusal.status != 401, f"status {refusal.status}, expected 401"),
        (body.get("category") != "INVALID_AUTHENTICATION", f"category {body.get('category')}"),
        (body.get("subCategory") != sub_category, f"subCategory {body.get('subCategory')}, expected {sub_category}"),
        (not body.get("message", "").startswith("scopegate"), "the message does not say that scopegate answered"),
        (refusal.headers.get("x-should-retry") != "false", "x-should-retry is not false"),
    ]:
        if fault:
            return found
    return None


def summary(error):
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:600]


def row(step, status, came):
    return f"{step:<34} {status:<7} {came}"
