"""A job with `hubspot3`, a client that still lives on contacts v1 and companies v2: old endpoints, the same policy.

Usage and environment as in job.py.
"""

import os
import sys

from hubspot3 import error as errors
from hubspot3.companies import CompaniesClient
from hubspot3.contacts import ContactsClient
from hubspot3.owners import OwnersClient

from steps import Refusal, Steps, check

COMPANIES = 120
PAGE = 250  # what the client asks for
READ = "scope:crm.objects.contacts.read"
WRITE = "scope:crm.objects.contacts.write"
READ_COMPANIES = "scope:crm.objects.companies.read"
# This client retries reads that fail with 5xx or time out; a retry would hide a failure from the totals.
SETTINGS = {"access_token": os.environ["GATE_KEY"], "api_base": os.environ["GATE_URL"], "number_retries": 0}


def refusal_of(error):
    if isinstance(error, errors.HubspotError) and error.result.status:
        return Refusal(error.result.status, error.result.body, error.result.getheaders())
    return None


def new_steps(granted):
    # The client has no class for 403: it raises its class for every other 4xx.
    return Steps(
        "hubspot3",
        granted,
        refusal_of,
        forbidden=errors.HubspotBadRequest,
        unauthorised=errors.HubspotUnauthorized,
    )


def granted(needs):
    contacts, companies, owners = ContactsClient(**SETTINGS), CompaniesClient(**SETTINGS), OwnersClient(**SETTINGS)
    steps = new_steps(needs)
    state = {"contact": 1, "company": 1}

    def list_contacts():
        people = contacts.get_in_list("all", limit=50)
        check(len(people) == 50, f"{len(people)} contacts")
        state["contact"] = people[0]["vid"]
        return "50 contacts", 1

    def get_contact():
        one = contacts.get_by_id(state["contact"])
        check(one["vid"] == state["contact"] and one["properties"]["email"]["value"], str(one)[:200])
        return "the v1 profile, email in it", 1

    def list_companies():
        firms = companies.get_all()
        check(len(firms) >= COMPANIES, f"{len(firms)} companies")
        state["company"] = firms[0]["id"]
        return f"{len(firms)} companies", -(-len(firms) // PAGE)

    def get_company():
        one = companies.get(state["company"])
        check(one["companyId"] == state["company"], str(one)[:200])
        return "the v2 record", 1

    def list_owners():
        people = owners.get_owners()
        check(len(people) > 0, "no owners")
        return f"{'several owners' if len(people) > 1 else 'one owner'}", 1

    def delete():
        contacts.delete_by_id(state["contact"])
        return "archived", 1

    steps.run("page contacts (v1)", [READ], list_contacts)
    steps.run("get a contact (v1)", [READ], get_contact)
    steps.run("list companies (v2)", [READ_COMPANIES], list_companies)
    steps.run("get a company (v2)", [READ_COMPANIES], get_company)
    steps.run("list owners", ["scope:crm.objects.owners.read"], list_owners)
    steps.run("archive a contact (v1)", [WRITE, "effect:delete"], delete)
    return steps.finish()


def unauthorised(sub_category):
    steps = new_steps([])
    steps.must_be_unauthorised("get a contact (v1)", sub_category, lambda: ContactsClient(**SETTINGS).get_by_id(1))
    steps.must_be_unauthorised("list owners", sub_category, lambda: OwnersClient(**SETTINGS).get_owners())
    return steps.finish()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["granted", *words]:
            sys.exit(granted(words))
        case ["unauthorised", word]:
            sys.exit(unauthorised(word))
        case _:
            sys.exit("usage: job_hubspot3.py granted NEED… | unauthorised SUBCATEGORY")
