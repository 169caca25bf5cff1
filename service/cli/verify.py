"""`shapshot verify`: check bundles of explanations, without a server or a model."""

import json
from collections.abc import Iterable
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.connection import Json
from service.cli.console import console, exit_with_error
from service.evidence.archives import MAX_BYTES
from service.evidence.audit_log import verify_log
from service.evidence.keys import PublicKeys, SigningKeyError

INVALID = 1  # exit code
AUDIT_LOG = ".ndjson"  # suffix of its files


def verify(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            help="Files of GET …/bundle.zip, or *.ndjson of `shapshot audit --export`.",
            exists=True,
            dir_okay=False,
        ),
    ],
    keys: Annotated[
        Path | None,
        typer.Option(
            help="File of the public keys to trust, from /.well-known/jwks.json; without it, those "
            "in each bundle, which tells only that it was not changed since."
        ),
    ] = None,
    tsa_certificate: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of the certificates of the authority whose timestamps to trust; each "
            "record must then have one."
        ),
    ] = None,
    chain_list: Annotated[
        Path | None,
        typer.Option(
            "--chain",
            help="What `shapshot records --json` printed, to know that no record was left out.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify signature, files and values of bundles; of several, also how they follow each other.

    Of an audit log, verify that no entry was changed or removed. The values are computed again from
    the recorded scores. Exits with 1 if anything is wrong.
    """
    try:
        from service.evidence.timestamps import TimestampError, read_certificates
        from worker.blas_threads import use_one_thread
        from worker.listed_chain import ChainListError, read_chain, verify_listed
        from worker.verification import Place, Verification, verify_bundle, verify_chain
    except ImportError as error:
        exit_with_error(f"{error.name} is not installed: pip install 'shapshot[verify]'")
    use_one_thread()
    try:
        trusted = PublicKeys.read(keys) if keys else None
        authorities = read_certificates(tsa_certificate) if tsa_certificate else []
        listed = read_chain(chain_list) if chain_list else None
    except (SigningKeyError, TimestampError, ChainListError) as error:
        exit_with_error(str(error))

    logs = [path for path in bundles if path.suffix == AUDIT_LOG]
    bundles = [path for path in bundles if path not in logs]
    if logs and trusted is None:
        exit_with_error("an audit log brings no keys along: pass those of the server, --keys")
    read = {path: verify_log(path.read_bytes().splitlines(), trusted) for path in logs if trusted}
    for path, log in read.items():
        if not as_json:
            _print(str(path), map(astuple, log.findings))
    found: list[Verification] = []
    for path in bundles:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            exit_with_error(f"{path} is larger than any bundle: over {MAX_BYTES} bytes")
        verified = verify_bundle(path.read_bytes(), trusted, authorities=authorities)
        found.append(verified)
        if not as_json:
            _print(str(path), map(astuple, verified.checks))
    segments = [
        Place(f"the segment up to {segment.last}", segment.chain, sha256)
        for log in read.values()
        for segment, sha256 in log.segments
    ]
    chain = verify_chain(found, segments)
    if listed is not None:
        chain += verify_listed(listed, found, segments)
    if chain and not as_json:
        _print("chain", map(astuple, chain))
    valid = all(each.valid for each in found) and all(check.fault is None for check in chain)
    valid = valid and all(each.fault is None for log in read.values() for each in log.findings)
    if as_json:
        files = [
            {
                "file": str(path),
                "valid": each.valid,
                "id": each.id,
                "key": each.key_id,
                "sequence": each.chain.sequence if each.chain else None,
                "checks": [asdict(check) for check in each.checks],
            }
            for path, each in zip(bundles, found, strict=True)
        ]
        audited = [
            {
                "file": str(path),
                "valid": all(each.fault is None for each in log.findings),
                "checks": [asdict(each) for each in log.findings],
            }
            for path, log in read.items()
        ]
        told = {
            "valid": valid,
            "bundles": files,
            "logs": audited,
            "chain": [asdict(check) for check in chain],
        }
        typer.echo(json.dumps(told, indent=2))
    elif valid and trusted is None:
        console.print(
            "The keys are those that the bundles bring along. To know who signed, pass the "
            "server's: --keys, from /.well-known/jwks.json"
        )
    raise typer.Exit(0 if valid else INVALID)


def _print(title: str, checks: Iterable[tuple[str, str | None]]) -> None:
    console.print(f"[bold]{escape(title)}[/bold]")
    for what, fault in checks:
        mark = "[green]✓[/green]" if fault is None else "[red]✗[/red]"
        console.print(f"  {mark} {escape(_visible(f'{what}: {fault}' if fault else what))}")


def _visible(text: str) -> str:
    """Show characters that could steer the terminal by their numbers."""
    return "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text)
