"""Fifty rules, default deny, as all contenders get them: in the words of a policy for scopegate, as method and path
for the others. Half of them name one path, half have a record's id in it."""
import re
from dataclasses import dataclass

OBJECTS = ["companies", "contacts", "deals", "line_items", "products", "quotes", "tasks", "tickets"]

# Operation of the catalogue, method, what follows the object's name.
VERBS = [
    ("crm.objects.list", "GET", ""),
    ("crm.objects.create", "POST", ""),
    ("crm.objects.search", "POST", "/search"),
    ("crm.objects.get", "GET", "/{id}"),
    ("crm.objects.update", "PATCH", "/{id}"),
    ("crm.objects.archive", "DELETE", "/{id}"),
]


@dataclass(frozen=True)
class Rule:
    operation: str
    objects: str | None
    method: str
    path: str

    @property
    def is_exact(self):
        return "{" not in self.path

    @property
    def pattern(self):
        """A regular expression of the whole path, which nginx and HAProxy read alike."""
        return "^" + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(self.path).replace("/", "/")) + "$"


def _objects():
    for name in OBJECTS:
        for operation, method, rest in VERBS:
            yield Rule(operation, name, method, f"/crm/v3/objects/{name}{rest}")


RULES = [
    *_objects(),
    Rule("crm.owners.list", None, "GET", "/crm/v3/owners"),
    Rule("files.download.get", None, "GET", "/files/v3/files/{id}/download"),
]
