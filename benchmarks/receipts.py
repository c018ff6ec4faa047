"""How long an authority waits: from ``close`` to the outcome receipt, for a 1,000-row SSDA903 return.

    .venv/bin/python benchmarks/receipts.py [--runs 50] [--rows 1000]

A service is set up and started as an operator would, in a temporary directory; a client sends a zip of the whole
return and looks for its outcome receipt every 5 ms. The clock starts when ``close`` is sent, so the time until the
gateway says OK (bytes synced, row and ledger event committed) is in it; that part is printed as well.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import paramiko

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.service import install, serving

from gateway.domain.period import Period
from gateway.validation.catalogue import load_collection
from gateway.validation.sample import make_sample
from gateway.validation.validate import AuthorityNumbers

COLLECTION, PERIOD = "ssda903", "2025-26"
CAMDEN = AuthorityNumbers(dfe_number="202", gss_code="E09000007", liia_code="CAM")
VALIDATORS = Path(__file__).parent.parent / "validators"
INBOX = f"inbox/{COLLECTION}/{PERIOD}"
WAIT_SECONDS = 60


def a_return(rows: int, seed: int) -> bytes:
    """Return one synthetic return as a zip: as many children as bring it to about so many rows over its tables."""
    collection, period = load_collection(VALIDATORS / COLLECTION), Period.parse(PERIOD)
    tables: dict[str, bytes] = {}
    children = 0
    while sum(table.count(b"\n") - 1 for table in tables.values()) < rows:
        children += max(1, rows // 50)
        tables = dict(make_sample(collection, CAMDEN, period, rows=children, faults=0, seed=seed))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tables.items():
            archive.writestr(name, content)
    return out.getvalue()


def outcomes(session: paramiko.SFTPClient) -> set[str]:
    """Return the names of the outcome receipts of the period."""
    try:
        return {name for name in session.listdir(f"receipts/{PERIOD}") if name.endswith(".outcome.json")}
    except FileNotFoundError:
        return set()


def one_run(session: paramiko.SFTPClient, content: bytes, name: str) -> tuple[float, float]:
    """Send one return; return the seconds until OK and until the outcome receipt."""
    before = outcomes(session)
    stream = session.open(f"{INBOX}/{name}", "wb")
    stream.set_pipelined(True)
    stream.write(content)
    stream.flush()
    start = time.perf_counter()
    stream.close()
    acknowledged = time.perf_counter() - start
    while not outcomes(session) - before:
        if time.perf_counter() - start > WAIT_SECONDS:
            raise TimeoutError(f"no outcome receipt within {WAIT_SECONDS} s")
        time.sleep(0.005)
    return acknowledged, time.perf_counter() - start


def percentile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def machine() -> str:
    """Return what was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {processor}, Python {platform.python_version()}, {platform.platform()}"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="Time from close to outcome receipt.")
    options.add_argument("--runs", type=int, default=50)
    options.add_argument("--rows", type=int, default=1000)
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="receipts-"))
    try:
        installation = install(folder / "gateway", authorities=("camden",))
        returns = [a_return(chosen.rows, seed) for seed in range(chosen.runs + 1)]
        with serving(installation) as service, service.account("camden").session() as session:
            times = [one_run(session, content, f"run{number}.zip") for number, content in enumerate(returns)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cold, warm = times[0], times[1:]
    print(machine())
    print(f"{chosen.runs} returns of {chosen.rows} rows, {len(returns[0]):,} bytes zipped, one after the other")
    for what, values in (
        ("close to OK", [one[0] for one in warm]),
        ("close to outcome receipt", [one[1] for one in warm]),
    ):
        p50, p99 = statistics.median(values), percentile(values, 0.99)
        print(f"{what:26} p50 {p50 * 1000:7.0f} ms   p99 {p99 * 1000:7.0f} ms   max {max(values) * 1000:7.0f} ms")
    print(f"{'first after the start':26} {cold[1] * 1000:11.0f} ms")


if __name__ == "__main__":
    main()
