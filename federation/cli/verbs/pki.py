"""Make the certificates of a federation of several hosts, from its federation file.

fedctl pki issue federation.yaml --out pki                      for every host and user that the file names
fedctl pki issue federation.yaml --out pki --user ada           and for one more user
fedctl pki issue federation.yaml --out pki --site sdsc          and for a site without a coordinator
fedctl pki issue federation.yaml --out pki --renew              all certificates anew, by the same CAs

pki/hosts/HOST is what belongs to that host, pki/users what belongs to people; ca.key and register/ca.key stay. What is
there already is kept. A larger installation brings its own CA: only the URI in a certificate matters.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from federation.cli import output
from federation.cli.issuing import agents_uids, authorities, certificates, sites_of
from federation.model.errors import ExitCode
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.pki import CERT_VALID
from federation.runtime.settings_files import load_federation


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("action", choices=("issue",), help="what to do")
    parser.add_argument("file", type=Path, metavar="FILE", help="the federation file")
    parser.add_argument("--out", type=Path, default=Path("pki"), metavar="DIR", help="where to write (pki)")
    parser.add_argument("--site", action="append", default=[], help="a site without a coordinator (repeatable)")
    parser.add_argument("--user", action="append", default=[], help="a user beside the file's admins (repeatable)")
    parser.add_argument("--renew", action="store_true", help="issue again what is there already")


def run(arguments: argparse.Namespace) -> int:
    """Issue what is missing."""
    federation = load_federation(arguments.file)
    disk, now, out = LocalDisk(), SystemClock().now(), arguments.out
    planned = sites_of(federation, arguments.site)
    list(certificates(federation, dict.fromkeys(planned, "x"), arguments.user))  # all names, before anything is written
    issuers = authorities(out, federation, disk, now)
    uids = agents_uids(out, planned, disk)
    rows = []
    for wanted in certificates(federation, uids, arguments.user):
        fresh = arguments.renew or not all(path.exists() for path in wanted.files(out))
        if fresh:
            issuer = issuers[wanted.of_register]
            issued = issuer.issue(wanted.who, now, uri=wanted.uri, hosts=wanted.hosts)
            issuer.write(issued, out / wanted.folder, wanted.name, disk)
        state = f"valid until {(now + CERT_VALID):%Y-%m-%d}" if fresh else "kept"
        rows.append((f"{out / wanted.folder / wanted.name}.pem", wanted.who, state))
    output.table(("CERTIFICATE", "OF", "STATE"), rows)
    for site, uid in uids.items():
        output.say(f"uid of {site}, for `fedctl sites join`: {uid}")
    output.say(f"keep {out / 'ca.key'} and {out / 'register/ca.key'} where no host of the federation can read them")
    for note in federation.spec.notices:
        output.say(f"note: {note}")
    return ExitCode.OK
