"""Reads the lines that test_network.c prints; needs no test library."""

import click
from platformio.test.result import TestCase, TestStatus
from platformio.test.runners.base import TestRunnerBase


class CustomTestRunner(TestRunnerBase):
    """PASS name | FAIL name: cause | END."""

    def on_testing_line_output(self, line):
        click.echo(line, nl=False)
        word, _, rest = line.strip().partition(" ")
        name, _, cause = rest.partition(": ")
        if word in ("PASS", "FAIL"):
            status = TestStatus.PASSED if word == "PASS" else TestStatus.FAILED
            self.test_suite.add_case(TestCase(name=name, status=status, message=cause or None))
        elif word == "END":
            self.test_suite.on_finish()
