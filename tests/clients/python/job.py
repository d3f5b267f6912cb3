"""A realistic job with HubSpot's own Python client, unmodified: only its two base URLs and the token point at the gate.

    python job.py granted scope:crm.objects.contacts.read …   every step must answer as that grant says
    python job.py narrowed                                     every step must answer as policies/crm-narrow.yaml says
    python job.py unauthorised SUBCATEGORY                     every step must end in a typed 401

Environment: GATE_URL, GATE_KEY, PORTAL_ID, UPSTREAM_URL.
"""

import json
import os
import sys
import tempfile
import time

import hubspot
from hubspot import files, oauth
from hubspot.crm import companies, contacts, owners, properties
from hubspot.crm.associations import v4 as associations

from steps import Refusal, Steps, check

CONTACTS = 250
UPLOAD_BYTES = 3 * 1024 * 1024
# Each API package of the client has its own exception classes; a program catches the one of the API it called.
PACKAGES = [contacts, companies, associations, owners, files, oauth, properties]
READ = "scope:crm.objects.contacts.read"
WRITE = "scope:crm.objects.contacts.write"
READ_COMPANIES = "scope:crm.objects.companies.read"
WRITE_COMPANIES = "scope:crm.objects.companies.write"

GATE = os.environ["GATE_URL"]
KEY = os.environ["GATE_KEY"]
UPSTREAM = os.environ["UPSTREAM_URL"]
PORTAL = int(os.environ["PORTAL_ID"])


def new_client():
    # `host` aims the typed calls, `base_url` aims `api_request`; one forgotten and calls go past the gate.
    return hubspot.HubSpot(access_token=KEY, host=GATE, base_url=GATE)


def refusal_of(error):
    if isinstance(error, tuple(package.exceptions.ApiException for package in PACKAGES)):
        return Refusal(error.status, error.body, error.headers)
    return None


def new_steps(granted):
    return Steps(
        "python",
        granted,
        refusal_of,
        forbidden=tuple(package.exceptions.ForbiddenException for package in PACKAGES),
        unauthorised=tuple(package.exceptions.UnauthorizedException for package in PACKAGES),
    )


class Job:
    """The job's steps in order; ids found by one step are used by the next."""

    def __init__(self, needs):
        self.api = new_client()
        self.needs = needs
        self.people = []
        self.created = "1"
        self.company = "1"

    def page_contacts(self):
        after, pages = None, 0
        while True:
            page = self.api.crm.contacts.basic_api.get_page(limit=100, after=after, properties=["email", "firstname"])
            pages += 1
            self.people += page.results
            check(pages <= 10, "paging does not end")
            if page.paging is None or page.paging.next is None:
                break
            after, link = page.paging.next.after, page.paging.next.link
            check(link.startswith(f"{GATE}/"), f"the paging link leads past the gate: {link}")
            check(UPSTREAM not in link, "the paging link names the upstream")
        check(len(self.people) >= CONTACTS, f"{len(self.people)} contacts")
        check(len({one.id for one in self.people}) == len(self.people), "a contact came twice")
        self.created = self.people[0].id
        return f"{len(self.people)} contacts in {pages} pages", pages

    def search(self):
        email = self.people[0].properties["email"]
        found = self.api.crm.contacts.search_api.do_search(
            public_object_search_request=contacts.PublicObjectSearchRequest(
                filter_groups=[{"filters": [{"propertyName": "email", "operator": "EQ", "value": email}]}],
                properties=["email"],
                limit=10,
            )
        )
        check(found.total == 1 and found.results[0].id == self.people[0].id, f"{found.total} found")
        return f"1 of {len(self.people)}, the right one", 1

    def batch_read(self):
        ids = sorted(one.id for one in self.people[:100])
        batch = self.api.crm.contacts.batch_api.read(
            batch_read_input_simple_public_object_id=contacts.BatchReadInputSimplePublicObjectId(
                inputs=[{"id": one} for one in ids], properties=["email"], properties_with_history=[]
            )
        )
        check(sorted(one.id for one in batch.results) == ids, f"{len(batch.results)} came back")
        return f"{len(batch.results)} contacts, {batch.status}", 1

    def create(self):
        email = f"python-{os.getpid()}-{time.time_ns()}@example.com"
        one = self.api.crm.contacts.basic_api.create(
            simple_public_object_input_for_create=contacts.SimplePublicObjectInputForCreate(
                properties={"email": email, "firstname": "Ada"}, associations=[]
            )
        )
        check(one.properties["email"] == email, "the e-mail is another")
        self.created = one.id
        return "id and properties", 1

    def update(self):
        one = self.api.crm.contacts.basic_api.update(
            self.created, simple_public_object_input=contacts.SimplePublicObjectInput(properties={"firstname": "Grace"})
        )
        check(one.id == self.created and one.properties["firstname"] == "Grace", str(one.properties))
        return "firstname is Grace", 1

    def read_by_alias(self):
        answer = self.api.api_request({"path": f"/crm/v3/objects/0-1/{self.created}?properties=firstname"})
        check(answer.status_code == 200 and answer.json()["id"] == self.created, f"status {answer.status_code}")
        decision = answer.headers.get("x-scopegate-decision", "")
        check(decision.startswith("allow; id="), "no decision in the headers")
        check(answer.headers.get("x-scopegate-source") == "upstream", "the source is not the upstream")
        words = [word if not word.startswith("id=") else "id=…" for word in decision.split("; ")]
        return "; ".join(words), 1

    def list_companies(self):
        page = self.api.crm.companies.basic_api.get_page(limit=5, properties=["name"])
        check(len(page.results) == 5, f"{len(page.results)} companies")
        self.company = page.results[0].id
        return "5 companies", 1

    def associate(self):
        made = self.api.crm.associations.v4.basic_api.create_default("contacts", self.created, "companies", self.company)
        check(len(made.results) >= 1, str(made))
        return f"{len(made.results)} directions, {made.status}", 1

    def list_associations(self):
        page = self.api.crm.associations.v4.basic_api.get_page("contacts", self.created, "companies")
        check(any(str(one.to_object_id) == self.company for one in page.results), str(page.results))
        return "the company is there", 1

    def list_owners(self):
        page = self.api.crm.owners.owners_api.get_page()
        check(page.results and all(one.id for one in page.results), str(page.results))
        return f"{'several owners' if len(page.results) > 1 else 'one owner'}", 1

    def upload(self):
        with tempfile.NamedTemporaryFile(suffix=".txt") as file:
            file.write((b"scopegate " * (UPLOAD_BYTES // 10 + 1))[:UPLOAD_BYTES])
            file.flush()
            one = self.api.files.files_api.upload(
                file=file.name, folder_path="/reports", file_name="report.txt", options='{"access": "PRIVATE"}'
            )
        check(one.id, str(one))
        check(one.size == UPLOAD_BYTES, f"{one.size} of {UPLOAD_BYTES} bytes arrived")
        return f"{one.size} bytes arrived", 1

    def archive(self):
        self.api.crm.contacts.basic_api.archive(self.created)
        return "archived", 1

    def introspect(self):
        info = self.api.oauth.access_tokens_api.get(KEY)
        own = {need.removeprefix("scope:") for need in self.needs if need.startswith("scope:")}
        check(info.hub_id == PORTAL, f"hub {info.hub_id}, expected {PORTAL}")
        # Scopes outside the CRM are granted by HubSpot under wider names (`files` for `files.write`).
        crm = {one for one in own if one.startswith("crm.")}
        check(crm <= set(info.scopes) <= own, f"scopes {info.scopes}")
        return f"hub {info.hub_id}, {len(info.scopes)} scopes", 1


def granted(needs):
    job, steps = Job(needs), new_steps(needs)
    steps.run("page all contacts", [READ], job.page_contacts)
    steps.run("search by e-mail", [READ], job.search)
    steps.run("batch read", [READ], job.batch_read)
    steps.run("create a contact", [WRITE], job.create)
    steps.run("update it", [WRITE], job.update)
    steps.run("read it back by type id, raw", [READ], job.read_by_alias)
    steps.run("list companies", [READ_COMPANIES], job.list_companies)
    steps.run("associate the two", [WRITE, WRITE_COMPANIES], job.associate, opener="operation:crm.associations.create")
    steps.run("list its associations", [READ, READ_COMPANIES], job.list_associations)
    steps.run("list owners", ["scope:crm.objects.owners.read"], job.list_owners)
    steps.run("upload a file (multipart)", ["scope:files.write"], job.upload)
    steps.run("archive it", [WRITE, "effect:delete"], job.archive)
    steps.run("ask what the key may do", [], job.introspect)
    return steps.finish()


class Narrowed:
    """Asks for more than the policy lets it see. What it may not see is left out; what would tell is refused."""

    ASKED = ["email", "firstname", "ssn", "salary", "date_of_birth"]
    READABLE = {"email", "firstname", "lastname", "hs_object_id", "createdate", "lastmodifieddate"}

    def __init__(self):
        self.contacts = new_client().crm.contacts
        self.definitions = new_client().crm.properties
        self.people = []
        self.created = "1"

    def shown(self, records, seen):
        """Prints every record as it came, so that the driver finds whatever should not be in it."""
        for one in records:
            names = set(one.properties) | set(one.properties_with_history or {})
            hidden = names - self.READABLE
            check(not hidden, f"{', '.join(hidden)} came, which the policy hides")
        check(records and set(seen) <= set(records[0].properties), str(records[:1]))
        print(f"  received {json.dumps([one.to_dict() for one in records], default=str)}")
        return f"{len(records)} with {', '.join(seen)}", 1

    def list(self):
        page = self.contacts.basic_api.get_page(
            limit=20, properties=self.ASKED, properties_with_history=["email", "ssn"]
        )
        self.people = page.results
        return self.shown(self.people, ["email", "firstname"])

    def list_defaults(self):
        return self.shown(self.contacts.basic_api.get_page(limit=20).results, ["email", "firstname", "lastname"])

    def search(self):
        email = self.people[0].properties["email"]
        found = self.contacts.search_api.do_search(
            public_object_search_request=contacts.PublicObjectSearchRequest(
                filter_groups=[{"filters": [{"propertyName": "email", "operator": "EQ", "value": email}]}],
                sorts=["lastname"],
                properties=self.ASKED,
                limit=10,
            )
        )
        check(found.total == 1 and found.results[0].id == self.people[0].id, f"{found.total} found")
        return self.shown(found.results, ["email", "firstname"])

    def batch_read(self):
        batch = self.contacts.batch_api.read(
            batch_read_input_simple_public_object_id=contacts.BatchReadInputSimplePublicObjectId(
                inputs=[{"id": one.id} for one in self.people],
                properties=self.ASKED,
                properties_with_history=["salary"],
            )
        )
        check(len(batch.results) == len(self.people), f"{len(batch.results)} came back")
        return self.shown(batch.results, ["email", "firstname"])

    def define(self):
        names = {one.name for one in self.definitions.core_api.get_all("contacts", archived=False).results}
        known = self.READABLE | {"hs_createdate", "hs_lastmodifieddate"}
        check("email" in names and names <= known, f"defined: {sorted(names)}")
        return f"{len(names)}, those that may be read or written", 1

    def create(self):
        email = f"python-narrow-{os.getpid()}-{time.time_ns()}@example.com"
        one = self.contacts.basic_api.create(simple_public_object_input_for_create=new_person(email=email, firstname="Ada"))
        self.created = one.id
        check(one.properties["email"] == email, "the e-mail is another")
        return self.shown([one], ["email", "firstname"])

    def update(self):
        one = self.change(self.people[0].id, firstname="Grace")
        check(one.properties["firstname"] == "Grace", "the name is another")
        return self.shown([one], ["firstname"])

    def change(self, record, **values):
        return self.contacts.basic_api.update(
            record, simple_public_object_input=contacts.SimplePublicObjectInput(properties=values)
        )

    def look_for(self, **request):
        return self.contacts.search_api.do_search(
            public_object_search_request=contacts.PublicObjectSearchRequest(limit=1, **request)
        )


def new_person(**values):
    return contacts.SimplePublicObjectInputForCreate(properties=values, associations=[])


def narrowed():
    job, steps = Narrowed(), new_steps([])
    steps.run("list", [], job.list)
    steps.run("list, nothing asked for", [], job.list_defaults)
    steps.run("search", [], job.search)
    steps.run("batch read", [], job.batch_read)
    steps.run("property definitions", [], job.define)
    steps.run("create within the list", [], job.create)
    steps.run("update within the list", [], job.update)
    hidden = {"propertyName": "ssn", "operator": "HAS_PROPERTY"}
    person = new_person(firstname="Ada", salary="1")
    for name, names, work in [
        ("filter by a hidden property", ["ssn"], lambda: job.look_for(filter_groups=[{"filters": [hidden]}])),
        ("sort by a hidden property", ["salary"], lambda: job.look_for(filter_groups=[], sorts=["salary"])),
        ("look up by a hidden property", ["passport_number"],
         lambda: job.contacts.basic_api.get_by_id("1", properties=["email"], id_property="passport_number")),
        ("update what is only read", ["lastname"], lambda: job.change(job.created, lastname="Lovelace")),
        ("create with a hidden property", ["salary"],
         lambda: job.contacts.basic_api.create(simple_public_object_input_for_create=person)),
        ("definition of a hidden property", ["ssn"], lambda: job.definitions.core_api.get_by_name("contacts", "ssn")),
    ]:
        steps.must_be_denied_properties(name, names, work)
    return steps.finish()


def unauthorised(sub_category):
    api, steps = new_client(), new_steps([])
    person = contacts.SimplePublicObjectInputForCreate(properties={"firstname": "Ada"}, associations=[])
    query = contacts.PublicObjectSearchRequest(query="ada", limit=1)
    for name, work in [
        ("page contacts", lambda: api.crm.contacts.basic_api.get_page(limit=10)),
        ("search", lambda: api.crm.contacts.search_api.do_search(public_object_search_request=query)),
        ("create a contact",
         lambda: api.crm.contacts.basic_api.create(simple_public_object_input_for_create=person)),
        ("list owners", lambda: api.crm.owners.owners_api.get_page()),
    ]:
        steps.must_be_unauthorised(name, sub_category, work)
    return steps.finish()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["granted", *words]:
            sys.exit(granted(words))
        case ["narrowed"]:
            sys.exit(narrowed())
        case ["unauthorised", word]:
            sys.exit(unauthorised(word))
        case _:
            sys.exit("usage: job.py granted NEED… | narrowed | unauthorised SUBCATEGORY")
