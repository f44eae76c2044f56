#!/usr/bin/env python3
"""Measures a built Halftone on whole requests:  bench/pipeline/throughput.py DIR [PROGRAM] [LATENCY:COUNT…]

The JPEGs of DIR come from a host on loopback that waits for LATENCY ms before each answer, each under many URLs; by
default 300 images at 0, 50 and 200 ms, then 100 to 20,000 images at 0 ms. CPU is the user and system time of Halftone and of
all processes of its PostgreSQL, from the upload to the end of the request, without that of the host; memory is
Halftone's peak (VmHWM). Linux only.
"""

import pathlib
import sys
import time

from common import catalogue, origin, photographs

from service import ROOT, cpu, forget_peak, memory, serve, temporary_directory

RUNS = ["0:300", "50:300", "200:300", "0:100", "0:1000", "0:5000", "0:20000"]


def measure(halftone, files, latency, count):
    with origin(latency / 1000, files) as port, temporary_directory() as directory:
        with serve(halftone, directory, "--allow-net", "127.0.0.0/8", "--no-reuse") as service:
            # Everything is loaded, and the connections to the database are there.
            service.finished(service.upload(catalogue(port, 10))[0])
            forget_peak(service.pid)
            ours, theirs, began = cpu(service.pid), service.database_cpu(), time.monotonic()
            request, _ = service.upload(catalogue(port, count))
            progress = service.finished(request)
            seconds = time.monotonic() - began
            ours, theirs = cpu(service.pid) - ours, service.database_cpu() - theirs
            assert progress["succeeded"] == count, progress
            time.sleep(2)
            print(f"| {latency} ms | {count} | {seconds:.1f} s | {count / seconds:.0f} | {1000 * (ours + theirs) / count:.1f} ms "
                  f"({1000 * theirs / count:.1f} of it PostgreSQL's) | {memory(service.pid, 'VmHWM'):.0f} MiB | "
                  f"{memory(service.pid, 'VmRSS'):.0f} MiB |", flush=True)


def main():
    files = photographs(sys.argv[1])
    rest = sys.argv[2:]
    halftone = pathlib.Path(rest.pop(0)) if rest and ":" not in rest[0] else ROOT / "target/dist/halftone"
    print("| latency | images | time | images/s | CPU an image | peak memory | memory 2 s later |\n|---|---|---|---|---|---|---|")
    for run in rest or RUNS:
        latency, count = run.split(":")
        measure(halftone, files, int(latency), int(count))


main()
