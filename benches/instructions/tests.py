#!/usr/bin/env python3
"""Tests of what counts and compares, without a gate: python3 benches/instructions/tests.py"""

import dataclasses
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import budget
import callgrind
import client
import features
import measure
import places
import report
import scenarios

DUMP = """# callgrind format
version: 1
positions: instr
events: Ir
summary: 100

ob=(1) /gate
fl=(1) ???
fn=(1) outer
0x100 10
cfn=(2) inner
calls=4 0x200
0x104 60

fn=(2)
0x200 40
0x204 20
cob=(2) /libc.so.6
cfn=(3) malloc
calls=2 0x900
0x204 30

ob=(2)
fn=(3)
0x900 30
"""
OUTER, INNER, MALLOC = ("/gate", "outer"), ("/gate", "inner"), ("/libc.so.6", "malloc")

TABLE = """kind	begins with	feature
file	src/proxy/	steps
file	src/proxy/guard/	guard
file	src/hubspot/	pool
file	hyper/	hyper
symbol	malloc	allocator
"""


def parsed(text):
    with tempfile.NamedTemporaryFile("w", suffix=".1-01") as file:
        file.write(text)
        file.flush()
        return callgrind.read(file.name)


def frames(files):
    """Places by address; each a list of files, innermost first."""
    return lambda place: [places.Frame("f", file, 1) for file in files.get(place[1], [])]


class Profiles(unittest.TestCase):
    def test_costs_are_read_by_place_and_calls_do_not_count_as_the_callers_own(self):
        profile = parsed(DUMP)
        self.assertEqual(dict(profile.own), {
            (OUTER, 0x100): 10, (INNER, 0x200): 40, (INNER, 0x204): 20, (MALLOC, 0x900): 30,
        })
        self.assertEqual(profile.total, 100)
        self.assertEqual(profile.calls, {(OUTER, 0x104, INNER): 60, (INNER, 0x204, MALLOC): 30})
        self.assertEqual(profile.times, {(OUTER, 0x104, INNER): 4, (INNER, 0x204, MALLOC): 2})

    def test_what_both_runs_have_drops_out_and_the_rest_is_shared_by_the_requests(self):
        once, thrice = parsed(DUMP), parsed(DUMP.replace("0x200 40", "0x200 240"))
        share = thrice.minus(once).over(2)
        self.assertEqual({place: cost for place, cost in share.own.items() if cost}, {(INNER, 0x200): 100})


class Attributions(unittest.TestCase):
    def attributed(self, files, text=DUMP):
        judge = features.ByFeature(features.Table(TABLE), frames(files))
        return dict(features.Attribution(parsed(text), judge).sum_up())

    def test_a_place_belongs_to_the_innermost_file_that_is_known_and_symbols_go_first(self):
        known = ["core/src/ptr/mod.rs", "src/proxy/guard/head.rs", "src/proxy/io.rs"]
        sums = self.attributed({0x100: ["src/proxy/steps.rs"], 0x200: known, 0x204: known})
        self.assertEqual(sums, {"steps": 10, "guard": 60, "allocator": 30})

    def test_what_serves_everybody_belongs_to_its_caller_even_through_another_that_does(self):
        sums = self.attributed({0x100: ["src/proxy/steps.rs"], 0x104: ["alloc/src/vec.rs", "src/hubspot/pool.rs"]})
        self.assertEqual(sums, {"steps": 10, "pool": 60, "allocator": 30})

    def test_two_callers_share_in_proportion_to_what_was_spent_for_each(self):
        first, second = "calls=4 0x200\n0x104 60\n", "0x108 10\ncfn=(2)\ncalls=1 0x200\n0x108 30\n"
        text = DUMP.replace(first, first + second)
        sums = self.attributed(
            {0x100: ["src/proxy/a.rs"], 0x104: ["src/hubspot/b.rs"], 0x108: ["src/proxy/guard/c.rs"]}, text
        )
        self.assertAlmostEqual(sums["pool"], 40)
        self.assertAlmostEqual(sums["guard"], 20 + 10)

    def test_what_nobody_is_known_to_have_called_is_left_over_and_recursion_ends(self):
        circle = "0x208 0\ncob=(1)\ncfn=(2)\ncalls=1 0x200\n0x208 50\n"
        sums = self.attributed({}, DUMP.replace("0x204 20\n", "0x204 20\n" + circle))
        self.assertEqual(sums, {features.UNATTRIBUTED: 70, "allocator": 30})

    def test_a_module_without_a_feature_and_a_row_without_a_module_are_mistakes(self):
        with tempfile.TemporaryDirectory() as root:
            source = pathlib.Path(root) / "src"
            for file in ("proxy/guard/head.rs", "hubspot/pool.rs", "new.rs"):
                (source / file).parent.mkdir(parents=True, exist_ok=True)
                (source / file).touch()
            mistakes = features.mistakes(features.Table(TABLE + "file\tsrc/gone.rs\tsteps\n"), pathlib.Path(root))
        self.assertEqual([line.split(": ")[1] for line in mistakes], [
            "`src/new.rs` belongs to no feature", "there is no `src/gone.rs`",
        ])


class Writers(unittest.TestCase):
    def test_of_the_writer_counts_what_goes_by_the_request(self):
        class Known:
            frames = staticmethod(frames({0x100: ["src/audit/writer.rs"], 0x104: ["src/audit/record.rs"]}))

        profile = parsed(DUMP)
        for written, counts in [(scenarios.ALL, 100), (scenarios.RECORDS, 90), (scenarios.NOTHING, 0)]:
            scenario = dataclasses.replace(scenarios.SCENARIOS[0], written=written)
            self.assertEqual(measure.of_writer(scenario, profile, Known), counts)


class Budgets(unittest.TestCase):
    KEPT = {"get": {"guard": 10_000, "audit": 90_000}}

    def compared(self, rows):
        counts, kept = report.Counts(rows), report.Counts(self.KEPT)
        return budget.compare(counts, kept), budget.notes(counts, kept)

    def test_five_per_cent_more_fail_and_say_which_feature_grew(self):
        self.assertEqual(self.compared({"get": {"guard": 10_000, "audit": 94_900}}), ([], []))
        mistakes, _ = self.compared({"get": {"guard": 15_200, "audit": 89_900}})
        self.assertEqual(len(mistakes), 1)
        self.assertIn("get: 105100 instructions, +5.1% of its budget of 100000. Grown: guard +5200", mistakes[0])

    def test_five_per_cent_less_are_told_and_fail_nothing(self):
        mistakes, notes = self.compared({"get": {"guard": 4_000, "audit": 90_000}})
        self.assertEqual(mistakes, [])
        self.assertIn("get: -6.0%", notes[0])

    def test_too_much_that_belongs_to_nothing_and_other_scenarios_fail(self):
        mistakes, _ = self.compared({"get": {"audit": 90_000, features.UNATTRIBUTED: 6_000}})
        self.assertIn("6.2% belong to no feature", mistakes[0])
        self.assertIn("other scenarios", self.compared({"put": {"audit": 1}})[0][0])

    def test_what_is_written_is_read_again(self):
        counts = report.Counts({"get": {"audit": 90_000.4, "guard": 10_000}, "list": {"audit": 5}})
        read = report.Counts.read(counts.written(["a heading"]))
        self.assertEqual(read.rows, {"get": {"audit": 90_000, "guard": 10_000}, "list": {"audit": 5, "guard": 0}})


class Clients(unittest.TestCase):
    def test_integers_are_as_in_the_examples_of_rfc_7541(self):
        self.assertEqual(client.integer(0, 5, 10), b"\x0a")
        self.assertEqual(client.integer(0, 5, 1337), b"\x1f\x9a\x0a")
        self.assertEqual(client.integer(0, 8, 42), b"\x2a")

    def test_a_status_is_read_behind_updates_of_the_tables_size(self):
        for fields in (b"\x88", b"\x3f\xe1\x1f\x88\x5f", b"\x20\x88"):
            self.assertEqual(client.status_of(fields), 200)
        self.assertNotEqual(client.status_of(b"\x8c"), 200)

    def test_an_answer_that_is_not_the_expected_one_is_noticed(self):
        scenario = scenarios.SCENARIOS[0]
        client.check(scenario, 200, scenario.answer, b"http://gate")
        for status, body in [(503, scenario.answer), (200, scenario.answer[:-1]), (200, b"")]:
            with self.assertRaises(client.Unexpected):
                client.check(scenario, status, body, b"http://gate")

    def test_answers_have_the_sizes_that_their_titles_say(self):
        sizes = {scenario.name: len(scenario.answer) for scenario in scenarios.SCENARIOS}
        self.assertEqual(sizes["get"], 1024)
        self.assertTrue(20_000 <= sizes["list"] <= 21_000, sizes)
        lists = [scenario for scenario in scenarios.SCENARIOS if scenario.name.startswith("list")]
        links = [scenario.expected(b"http://gate") for scenario in lists]
        self.assertTrue(all(b'"link":"http://gate/crm/' in body for body in links))


if __name__ == "__main__":
    unittest.main()
