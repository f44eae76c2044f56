#!/usr/bin/env python3
"""Measures what a second worker brings:  bench/pipeline/workers.py DIR [PROGRAM] [COUNT [SHARE]]

Each worker may use SHARE of a core (0.25 unless given) by a control group of its own, so that on a small machine too the API, PostgreSQL
and the image host have what they need beside both, as they would with a machine for each. COUNT images (1,000 unless given) made of the
JPEGs of DIR are processed by one worker, by two, and again in turn, three times. Linux, as root.
"""

import contextlib
import pathlib
import signal
import statistics
import subprocess
import sys
import time

from common import catalogue, origin, photographs

from service import ROOT, serve, temporary_directory

GROUPS = pathlib.Path("/sys/fs/cgroup")
PERIOD = 20_000  # Microseconds: short, so that a worker never stands still for long.
ROUNDS = 3


@contextlib.contextmanager
def group(name, share):
    """The file that takes the ids of processes which together may use this share of a core."""
    quota, is_v2 = int(share * PERIOD), (GROUPS / "cgroup.controllers").exists()
    directory = GROUPS / name if is_v2 else GROUPS / "cpu" / name
    if is_v2:
        (GROUPS / "cgroup.subtree_control").write_text("+cpu")
    directory.mkdir()
    try:
        if is_v2:
            (directory / "cpu.max").write_text(f"{quota} {PERIOD}")
        else:
            (directory / "cpu.cfs_period_us").write_text(str(PERIOD))
            (directory / "cpu.cfs_quota_us").write_text(str(quota))
        yield directory / "cgroup.procs"
    finally:
        directory.rmdir()


@contextlib.contextmanager
def worker(halftone, data_dir, number, share):
    """A worker on the database and the store of this data directory, once it is working."""
    with group(f"halftone-worker-{number}", share) as processes:
        log = data_dir.parent / f"worker-{number}"
        command = ["sh", "-c", f'echo $$ > {processes} && exec "$0" "$@"', halftone, "work", "--data-dir", data_dir]
        with open(log, "wb") as out:
            process = subprocess.Popen(
                [*command, "--allow-net", "127.0.0.0/8", "--no-reuse", "--compressions", "1"], stderr=out)
        try:
            while "working" not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def measure(halftone, service, port, count, workers, share):
    with contextlib.ExitStack() as running:
        for number in range(workers):
            running.enter_context(worker(halftone, service.data_dir, number, share))
        service.finished(service.upload(catalogue(port, 20 * workers))[0])
        began = time.monotonic()
        progress = service.finished(service.upload(catalogue(port, count))[0])
        assert progress["succeeded"] == count, progress
        return count / (time.monotonic() - began)


def main():
    files = photographs(sys.argv[1])
    rest = sys.argv[2:]
    halftone = pathlib.Path(rest.pop(0)) if rest and not rest[0].isdigit() else ROOT / "target/dist/halftone"
    count = int(rest.pop(0)) if rest else 1_000
    share = float(rest.pop(0)) if rest else 0.25
    speeds = {1: [], 2: []}
    with origin(0, files) as port, temporary_directory() as directory:
        with serve(halftone, directory, "--allow-net", "127.0.0.0/8", "--no-reuse", "--compressions", "0") as service:
            for _ in range(ROUNDS):
                for workers, measured in speeds.items():
                    measured.append(measure(halftone, service, port, count, workers, share))
    print("| workers | images/s |\n|---|---|")
    for workers, measured in speeds.items():
        print(f"| {workers} | {statistics.median(measured):.1f} ({min(measured):.1f}–{max(measured):.1f}) |")
    print(f"\nTwo are {statistics.median(speeds[2]) / statistics.median(speeds[1]):.2f} times as fast as one.")


main()
