"""`models/schema.json` and `docs/gates.md`, written from the gates' own definitions or checked."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model_release import ROOT, commands
from model_release.errors import ReleaseError
from model_release.operations.describe_gates import check_generated, write_generated


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, then write or check; 0 done or up to date, 2 out of date."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"example: {commands.script('describe_gates', check=True)}"
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write both files anew")
    mode.add_argument(
        "--check", action="store_true", help="fail if one of the files is out of date"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="the root of the checkout (default: this one)"
    )
    options = parser.parse_args(argv)
    try:
        (check_generated if options.check else write_generated)(options.root)
    except ReleaseError as error:
        print(error, file=sys.stderr)  # noqa: T201 - no report, so nothing else writes
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
