#!/usr/bin/env python3
"""Measures whom the deletion of a large request holds up:  bench/pipeline/deletion.py FILE.jpg [PROGRAM] [COUNT]

A request of COUNT (100,000) images is canceled and deleted. Before that, and until its last row is gone, one caller asks for requests and images, and another uploads three images at a time and waits for their end. Prints how long
each took, and what waited for a lock of the database for more than 50 ms.
"""

import pathlib
import sys
import threading
import time

from common import catalogue, origin

from service import ROOT, serve, temporary_directory

CANCEL = """mutation ($id: ID!) { cancelProcessingRequest(input: {id: $id}) { userErrors { message } } }"""
DELETE = """mutation ($id: ID!) { deleteProcessingRequest(input: {id: $id}) { userErrors { message } } }"""
ASK = """query ($id: ID!) { processingRequests(first: 20) { nodes { id status } }
    processingRequest(id: $id) { status progress { succeeded } images(first: 20) { nodes { id status } } } }"""
# PostgreSQL logs what has waited for a lock for so long.
LOG_WAITS = "ALTER SYSTEM SET log_lock_waits = on; ALTER SYSTEM SET deadlock_timeout = '50ms'"
WAITED = "still waiting for"


class Callers:
    """Two callers who go on until they are stopped, and how long everything took them, in milliseconds."""

    def __init__(self, service, port, other):
        self.times = {what: [] for what in ("a query", "an upload of 3 images", "3 images, from the upload to their end")}
        self.stopping = threading.Event()

        def upload():
            began = time.monotonic()
            request, _ = service.upload(catalogue(port, 3))
            self.times["an upload of 3 images"].append((time.monotonic() - began) * 1e3)
            service.finished(request, every=0.01)
            self.times["3 images, from the upload to their end"].append((time.monotonic() - began) * 1e3)

        def ask():
            began = time.monotonic()
            service.query(ASK, id=other)
            self.times["a query"].append((time.monotonic() - began) * 1e3)

        self.threads = [threading.Thread(target=self.go_on, args=(step,)) for step in (ask, upload)]
        for thread in self.threads:
            thread.start()

    def go_on(self, step):
        while not self.stopping.is_set():
            step()
            time.sleep(0.02)

    def stop(self, when):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        for what, times in self.times.items():
            times.sort()
            median, most = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
            print(f"| {what} | {when} | {len(times)} | {median:.0f} ms | {most:.0f} ms | {times[-1]:.0f} ms |", flush=True)


def lock_waits(service):
    """What was waited for, with the statement that waited and those that were in the way."""
    logs = sorted((service.data_dir / "postgres/log").glob("postgresql-*.log"))
    parts = "".join(log.read_text(errors="replace") for log in logs).split(WAITED)
    return [" ".join(part.split())[:300] for part in parts[1:]]


def main():
    file = pathlib.Path(sys.argv[1])
    halftone = sys.argv[2] if len(sys.argv) > 2 else ROOT / "target/dist/halftone"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
    with origin(0, [file]) as port, origin(3, [file]) as slow, temporary_directory() as directory:
        with serve(halftone, directory, "--allow-net", "127.0.0.0/8") as service:
            for setting in LOG_WAITS.split("; "):
                service.psql(setting)
            service.psql("SELECT pg_reload_conf()")
            other = service.upload(catalogue(port, 100))[0]
            service.finished(other)
            request, total = service.upload(catalogue(slow, count))
            service.query(CANCEL, id=request)
            service.finished(request)
            callers = Callers(service, port, other)
            time.sleep(20)
            callers.stop("before")
            before, callers, began = len(lock_waits(service)), Callers(service, port, other), time.monotonic()
            assert service.query(DELETE, id=request)["deleteProcessingRequest"]["userErrors"] == []
            took = time.monotonic() - began
            while service.psql(f"SELECT id FROM processing_requests WHERE id = '{request}'"):
                time.sleep(0.2)
            print(f"the mutation took {took * 1e3:.0f} ms; everything was gone after {time.monotonic() - began:.0f} s, of which up to 60 s "
                  "are the wait for the next sweep")
            callers.stop("meanwhile")
            waits = lock_waits(service)
            print(f"waits for a lock of more than 50 ms: {before} before, {len(waits) - before} meanwhile", *waits[before:], sep="\n")


main()
