"""The same kind of job with HubSpot's generated client (`hubspot-sdk`, alpha): it speaks the dated API versions.

Usage and environment as in job.py.
"""

import os
import sys
import time

import hubspot_sdk

from steps import Refusal, Steps, check

READ = "scope:crm.objects.contacts.read"
WRITE = "scope:crm.objects.contacts.write"
GATE = os.environ["GATE_URL"]
KEY = os.environ["GATE_KEY"]


def refusal_of(error):
    if isinstance(error, hubspot_sdk.APIStatusError):
        return Refusal(error.status_code, error.body, error.response.headers)
    return None


def new_client():
    return hubspot_sdk.HubSpot(access_token=KEY, base_url=GATE)


def new_steps(granted):
    return Steps(
        "python-alpha",
        granted,
        refusal_of,
        forbidden=hubspot_sdk.PermissionDeniedError,
        unauthorised=hubspot_sdk.AuthenticationError,
    )


def granted(needs):
    api, steps = new_client(), new_steps(needs)
    state = {"created": "1"}

    def list_contacts():
        page = api.crm.objects.contacts.list(limit=20, properties=["email", "firstname"])
        check(len(page.results) == 20, f"{len(page.results)} contacts")
        state.update(created=page.results[0].id, email=page.results[0].properties["email"])
        return "20 contacts", 1

    def search():
        found = api.crm.objects.contacts.search(
            after="0",
            filter_groups=[{"filters": [{"property_name": "email", "operator": "EQ", "value": state["email"]}]}],
            limit=5,
            properties=["email"],
            sorts=[],
        )
        check(found.total == 1, f"{found.total} found")
        return "the right one", 1

    def create():
        email = f"alpha-{os.getpid()}-{time.time_ns()}@example.com"
        one = api.crm.objects.contacts.create(associations=[], properties={"email": email, "firstname": "Ada"})
        check(one.properties["email"] == email, "the e-mail is another")
        state["created"] = one.id
        return "id and properties", 1

    def update():
        one = api.crm.objects.contacts.update(state["created"], properties={"firstname": "Grace"})
        check(one.properties["firstname"] == "Grace", str(one.properties))
        return "firstname is Grace", 1

    def list_owners():
        page = api.crm.owners.list()
        check(len(page.results) > 0, "no owners")
        return f"{'several owners' if len(page.results) > 1 else 'one owner'}", 1

    def delete():
        api.crm.objects.contacts.delete(state["created"])
        return "archived", 1

    steps.run("list contacts (2026-03)", [READ], list_contacts)
    steps.run("search by e-mail", [READ], search)
    steps.run("create a contact", [WRITE], create)
    steps.run("update it", [WRITE], update)
    steps.run("list owners", ["scope:crm.objects.owners.read"], list_owners)
    steps.run("archive it", [WRITE, "effect:delete"], delete)
    return steps.finish()


def unauthorised(sub_category):
    api, steps = new_client(), new_steps([])
    steps.must_be_unauthorised("list contacts", sub_category, lambda: api.crm.objects.contacts.list(limit=1))
    steps.must_be_unauthorised("list owners", sub_category, lambda: api.crm.owners.list())
    return steps.finish()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["granted", *words]:
            sys.exit(granted(words))
        case ["unauthorised", word]:
            sys.exit(unauthorised(word))
        case _:
            sys.exit("usage: job_alpha.py granted NEED… | unauthorised SUBCATEGORY")
