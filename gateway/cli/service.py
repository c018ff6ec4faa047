"""``gateway init``, ``doctor``, ``serve``, ``demo``: set up, check, run, show."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.context import settings, settings_path
from gateway.cli.output import EXIT_COULD_NOT, EXIT_FINDINGS, JsonFlag, err, out, plainly, print_json


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(init)
    app.command()(doctor)
    app.command()(serve)
    app.command()(demo)


@plainly
def init(directory: Annotated[Path, typer.Argument(help="Where settings and data go.")] = Path()) -> None:
    """Make settings, keys, database and the 33 authorities in a directory. What is there already stays."""
    from gateway.cli.setup import set_up  # noqa: PLC0415 (heavy imports only where needed)

    made = set_up(directory)
    out.print(f"Ready in {made.directory}. The SFTP host key is {made.host_key}.", soft_wrap=True)
    out.print(f"Next: gateway --settings {made.directory / 'settings.toml'} doctor", soft_wrap=True)


@plainly
def doctor(*, as_json: JsonFlag = False) -> None:
    """Check settings, keys, database, storage, scanner and mail, and say what to fix."""
    from gateway.cli.doctor import examine  # noqa: PLC0415 (heavy imports only where needed)

    results = examine(settings_path())
    if as_json:
        print_json([{"check": one.check, "ok": one.ok, "told": one.told, "remedy": one.remedy} for one in results])
    else:
        for one in results:
            mark = "[green]ok[/]  " if one.ok else "[bold red]fix[/] "
            out.print(f"{mark} {one.check}: {one.told}", soft_wrap=True)
            if one.remedy:
                out.print(f"     [bold]What to do:[/] {one.remedy}", soft_wrap=True)
    if not all(one.ok for one in results):
        raise typer.Exit(EXIT_FINDINGS)


@plainly
def serve(
    ready_file: Annotated[
        Path | None, typer.Option("--ready-file", help="Gets a line of JSON when everything listens.")
    ] = None,
    drain_seconds: Annotated[int, typer.Option(help="How long work may finish after SIGTERM.")] = 20,
) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    from gateway.desk import open_desk  # noqa: PLC0415 (heavy imports only where needed)
    from gateway.logs import set_up_logs  # noqa: PLC0415
    from gateway.service import Service  # noqa: PLC0415

    chosen = settings()
    set_up_logs(chosen.log)
    service = Service(open_desk(chosen))
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    try:
        address = service.start()
    except OSError as error:
        err.print(f"The service cannot listen: {error.strerror}. Another one may run already, or choose sftp.port.")
        raise typer.Exit(EXIT_COULD_NOT) from None
    if chosen.scanner.kind == "off":
        err.print("Malware scanning is off (scanner.kind in settings.toml).")
    err.print(f"Listening for SFTP on port {address.sftp_port}." if address.sftp_port else "SFTP is off.")
    if ready_file is not None:
        fresh = ready_file.with_suffix(".new")
        fresh.write_text(json.dumps({"pid": os.getpid(), "sftp_port": address.sftp_port}))
        fresh.replace(ready_file)
    asked.wait()
    err.print("Stopping; what is in work is finished first.")
    service.stop(drain_seconds)


@plainly
def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Where the demo keeps its data; emptied first.")] = Path(
        "demo-data"
    ),
    port: Annotated[int, typer.Option(help="SFTP port; 0 takes a free one.")] = 0,
    *,
    once: Annotated[bool, typer.Option("--once", help="End when the story is told.")] = False,
) -> None:
    """Show the main job: three authorities, a good, a bad and a late return, an extract, a ledger that proves it."""
    from gateway.cli.demo import tell  # noqa: PLC0415 (heavy imports only where needed)

    tell(directory, port, once=once)
