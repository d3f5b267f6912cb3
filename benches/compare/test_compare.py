"""What the comparison says must follow from what was measured, and the contenders must have the same rules."""
import re
import unittest

import report
from contenders import nginx
from loads import REQUESTS
from rules import RULES


def results(rounds, contenders=("scopegate", "nginx")):
    machine = {name: "-" for name in ("processor", "cores", "memory_gib", "kernel", "nginx", "haproxy", "openssl", "load_average")}
    return {
        "contenders": list(contenders),
        "wrong": {},
        "failed": [],
        "has_instructions": True,
        "machine": machine,
        "settings": {"rate": 2_000, "write_rate": 200, "seconds": 1},
        "callgrind": {},
        "rounds": rounds,
    }


def row(measured, title):
    return next(line[1:] for line in report.table(measured)[1] if line[0] == title)


class Table(unittest.TestCase):
    def test_a_ratio_is_of_one_round(self):
        rounds = [
            {"get": {"scopegate": {"cpu_us": 90.0}}},
            {"get": {"scopegate": {"cpu_us": 9.0}, "nginx": {"cpu_us": 18.0}}},
        ]
        self.assertEqual(row(results(rounds), "CPU, µs: GET 1 KB"), ["49.5", "18.0", "0.50"])

    def test_what_was_not_measured_is_an_empty_cell(self):
        user_alone = [{"get": {"scopegate": {"instructions_user": 1e3}, "nginx": {}}}]
        self.assertEqual(row(results(user_alone), "instructions, thousands: GET 1 KB"), ["", "", ""])

    def test_what_is_added_is_counted_from_the_same_rounds_direct_calls(self):
        def took(time):
            return {"p50_us": time, "p99_us": 2 * time}

        rounds = [
            {"paced": {"direct": took(direct), "scopegate": took(direct + 15), "nginx": took(40)}}
            for direct in (10, 20, 30)
        ]
        self.assertEqual(row(results(rounds), "added p50, µs: GET 1 KB at 2000/s"), ["15", "20", ""])

    def test_a_contender_that_does_not_do_the_job_is_named(self):
        measured = results([], ["nginx"])
        measured["wrong"] = {"scopegate": "the body is not the upstream's"}
        self.assertTrue(any("scopegate was not measured" in line for line in report.plain(measured)))


class Rules(unittest.TestCase):
    def test_there_are_fifty_half_of_them_patterns(self):
        self.assertEqual([len(RULES), sum(rule.is_exact for rule in RULES)], [50, 25])

    def test_each_request_of_a_load_is_allowed_by_one_rule(self):
        for request in REQUESTS:
            path = request.path.split("?")[0]
            opened = [rule for rule in RULES if rule.method == request.method and re.search(rule.pattern, path)]
            self.assertEqual(len(opened), 1, request)

    def test_a_pattern_ends_where_its_path_ends(self):
        for method, path in [("GET", "/crm/v3/objects/contacts/1/associations/deals"), ("GET", "/x/crm/v3/owners")]:
            self.assertFalse([rule for rule in RULES if rule.method == method and re.search(rule.pattern, path)])

    def test_nginx_gets_them_as_method_and_path(self):
        pattern = next(rule for rule in RULES if rule.operation == "files.download.get")
        self.assertEqual(nginx.rule(pattern), '"~^GET /files/v3/files/[^/]+/download$" 1;\n')


if __name__ == "__main__":
    unittest.main()
