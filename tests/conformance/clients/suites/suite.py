"""What the programs of libraries' own suites share: arguments, and a line for each of their tests.

A suite is played by an allow-list: the tests that talk to a node and that a node which promises what
Holdfast does must pass, or that FINDINGS.md names. One of the list that is skipped, or does not come
up at all, has failed; one that is not on the list is not run.
"""

import argparse
import json
import os
import sys


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tests", required=True, help="what was fetched or built for this suite")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--scenario", choices=["suite"], required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--kills", type=int, default=1)
    return parser.parse_args()


class Suite:
    """Tells the parts; the runner judges each by its name."""

    def __init__(self, client, wanted):
        # Libraries print: what they print goes to the log, this alone to the runner.
        self.out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.wanted, self.seen = list(wanted), set()
        self.tell(client=client)

    def tell(self, **line):
        print(json.dumps(line), file=self.out, flush=True)

    def part(self, name, failed=None):
        if name not in self.wanted:
            sys.exit(f"{name} was run and is not on the list")
        self.seen.add(name)
        self.tell(part=name, **({"failed": failed} if failed else {}))

    def finish(self):
        for name in self.wanted:
            if name not in self.seen:
                self.part(name, "did not come up")
        self.tell(passed=True)
