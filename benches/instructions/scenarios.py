"""What is asked, what the upstream answers, and what must come back: the requests whose cost is counted.

Everything is fixed to the byte, so that two runs differ in nothing but the code that carries the requests.
"""

import dataclasses
import json
import string
import zlib

PORTAL = 1001
TOKEN = "pat-na1-0f8fad5b-d9cb-469f-a165-70867728950e"
CONNECTION = "acme"


def key_of_nobody():
    """A key with a good checksum that no gate ever made: CRC-32 of what stands before it, in base62."""
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    key = "sg_l_0123456789ab_" + "Zz9" * 14 + "A"
    number, checksum = zlib.crc32(key.encode("ascii")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        checksum = digits[digit] + checksum
    return f"{key}_{checksum}"


# Keys there are besides those that are used: a look-up has something to look through.
OTHER_KEYS = 200

# What the client asks for, and what the property rule takes away of it.
ASKED = (
    "email,firstname,lastname,phone,mobilephone,company,jobtitle,website,address,city,state,zip,country,"
    "lifecyclestage,hs_lead_status,hubspot_owner_id"
)
HIDDEN = ("mobilephone", "address")

POLICY = """integration: {name}
owner: bench@example.com
connections: [acme]
allow:
  - scope: crm.objects.contacts.read
  - scope: crm.objects.contacts.write
  - scope: crm.objects.companies.read
  - operation: crm.associations.list
    objects: [contacts, companies]
deny:
  - effects: [delete]
"""
POLICIES = {
    "plain": POLICY.format(name="plain"),
    "narrow": POLICY.format(name="narrow")
    + "properties:\n  contacts: {{ read: [{}] }}\n".format(
        ", ".join(name for name in ASKED.split(",") if name not in HIDDEN)
    ),
}


# What the writer of the audit log does for a request: it gathers records by the clock, and then only what it spends on
# records themselves is the request's; one that is waited for is gathered alone; of many alike it makes one line.
RECORDS, ALL, NOTHING = "records", "all", "nothing"


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One kind of request."""

    name: str
    title: str
    method: str
    target: str
    status: int
    policy: str = "plain"
    body: bytes = b""
    answer: bytes = b""  # the upstream's; empty: the gate answers itself
    answer_status: str = "200 OK"
    http2: bool = False
    key: str = ""  # empty: one of the policy's
    written: str = RECORDS  # what of the audit log's writer counts

    def upstream_answer(self, origin):
        """What the upstream sends: its links lead to itself."""
        return self.answer.replace(b"{ORIGIN}", origin)

    def expected(self, gate):
        """The body that must come down; `None`: the gate's own words."""
        return self.answer.replace(b"{ORIGIN}", gate) if self.answer else None


def contact(number):
    """A contact as HubSpot sends it, with what the property rule leaves."""
    values = {
        "address": None, "city": "Cambridge", "company": "Example Instruments Ltd", "country": "United Kingdom",
        "createdate": "2026-01-01T09:30:00.000Z", "email": f"ada.{number}@example.com", "firstname": "Ada",
        "hs_lead_status": "IN_PROGRESS", "hs_object_id": str(number), "hubspot_owner_id": "47550177",
        "jobtitle": "Head of Analytical Engines", "lastmodifieddate": "2026-11-02T17:45:12.345Z",
        "lastname": "Lovelace", "lifecyclestage": "opportunity", "phone": "+44 1223 555 0123",
        "state": "Cambridgeshire", "website": "https://instruments.example.com", "zip": "CB2 1TN",
    }
    for name in HIDDEN:
        values.pop(name, None)
    return {
        "id": str(number),
        "properties": values,
        "createdAt": "2026-01-01T09:30:00.000Z",
        "updatedAt": "2026-11-02T17:45:12.345Z",
        "archived": False,
    }


def whole(value):
    """As HubSpot writes JSON: without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def record(size):
    """One contact of just so many bytes: its longest text is as long as that takes."""
    single = contact(100_101)
    single["properties"]["message"] = ""
    single["properties"]["message"] = "x" * (size - len(whole(single)))
    return whole(single)


def page(size):
    """A list of contacts with a link to the next page, of about so many bytes."""
    link = "{ORIGIN}/crm/v3/objects/contacts?limit=100&after=100200&properties=" + ASKED
    paging = {"next": {"after": "100200", "link": link}}
    results = []
    while len(whole({"results": results, "paging": paging})) < size:
        results.append(contact(100_100 + len(results)))
    return whole({"results": results, "paging": paging})


LIST = f"/crm/v3/objects/contacts?limit=30&properties={ASKED}"
SEARCH = whole(
    {
        "filterGroups": [
            {
                "filters": [
                    {"propertyName": "lifecyclestage", "operator": "EQ", "value": "opportunity"},
                    {"propertyName": "lastmodifieddate", "operator": "GTE", "value": "1761955200000"},
                ]
            }
        ],
        "sorts": [{"propertyName": "lastmodifieddate", "direction": "DESCENDING"}],
        "properties": ["email", "firstname", "lastname", "company"],
        "limit": 1,
    }
)
CREATE = whole(
    {
        "properties": {
            "email": "grace@example.com", "firstname": "Grace", "lastname": "Hopper", "phone": "+1 202 555 0143",
            "company": "Example Compilers Inc.", "lifecyclestage": "lead",
        }
    }
)
FOUND = whole({"total": 1, "results": [contact(100_101)]})
ONE = record(1024)
CONTACT = "/crm/v3/objects/contacts/100101"

SCENARIOS = [
    Scenario("get", "read 1 KB", "GET", CONTACT, 200, answer=ONE),
    Scenario("get-h2", "read 1 KB, HTTP/2", "GET", CONTACT, 200, answer=ONE, http2=True),
    Scenario("list", "list 20 KB", "GET", LIST, 200, answer=page(20_000)),
    Scenario("list-narrow", "list 20 KB, property rule", "GET", LIST, 200, policy="narrow", answer=page(20_000)),
    Scenario("search", "search (POST)", "POST", "/crm/v3/objects/contacts/search", 200, body=SEARCH, answer=FOUND),
    Scenario(
        "create", "create (POST)", "POST", "/crm/v3/objects/contacts", 201, body=CREATE, answer=ONE,
        answer_status="201 Created", written=ALL,
    ),
    Scenario("denied", "denied, 403", "GET", "/crm/v3/objects/deals/100101", 403, written=NOTHING),
    Scenario("unknown-key", "unknown key, 401", "GET", CONTACT, 401, key=key_of_nobody(), written=NOTHING),
]
