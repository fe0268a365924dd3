"""roc-validator without a network: python validate_crate.py CRATE PROFILE [SEVERITY] prints the issues as JSON.

The validator ships its profiles but fetches the JSON-LD context of RO-Crate 1.1 from w3id.org. Here it reads
the same context from a file (as PyPI's rocrate 0.11.0 ships it; the context is CC0).
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import requests
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.utils.http import HttpRequester

CONTEXTS = {"https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1-context.json.gz"}


def shipped(_: HttpRequester, url: str, **__: Any) -> requests.Response:
    """The context of that address; any other address is not found, and never asked for."""
    answer = requests.Response()
    answer.status_code = 200 if url in CONTEXTS else 404
    answer.headers["Content-Type"] = "application/ld+json"
    if url in CONTEXTS:
        answer._content = gzip.decompress(Path(__file__).with_name(CONTEXTS[url]).read_bytes())
    return answer


def main(crate: str, profile: str, severity: str = "REQUIRED") -> int:
    HttpRequester.get = shipped
    settings = ValidationSettings(
        rocrate_uri=crate,
        profile_identifier=profile,
        requirement_severity=Severity[severity],
        skip_availability_check=True,
    )
    found = services.validate(settings)
    issues = [
        [str(issue.check.identifier), issue.severity.name, str(issue.message)] for issue in found.get_issues()
    ]
    checks = len(found.executed_checks)
    print(json.dumps({"checks": checks, "issues": issues}, indent=1))
    return 1 if issues else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
