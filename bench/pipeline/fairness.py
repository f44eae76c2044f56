#!/usr/bin/env python3
"""How long three images wait behind 100,000:  bench/pipeline/fairness.py DIR [PROGRAM] [COUNT]

Uploads a catalogue on a host that takes 10 s for each answer, and in a second run one on a fast host; 5, 20 and 60 s
later three images of another fast host. Prints how long each three took from their upload to the end of their request.
Then a tenant uploads 50 requests and another tenant one: prints how many images of each have ended when the one has.
"""

import subprocess
import sys
import time

from common import catalogue, origin, photographs

from service import ROOT, serve, temporary_directory


def measure(halftone, files, what, latency, count):
    with origin(latency, files) as large, origin(0, files) as small, temporary_directory() as directory:
        with serve(halftone, directory, "--allow-net", "127.0.0.0/8", "--first-byte-timeout", "30s", "--no-reuse") as service:
            request, _ = service.upload(catalogue(large, count))
            uploaded, waits = time.monotonic(), []
            for after in 5, 20, 60:
                time.sleep(max(0, uploaded + after - time.monotonic()))
                began = time.monotonic()
                progress = service.finished(service.upload(catalogue(small, 3))[0], every=0.02)
                waits.append(time.monotonic() - began)
                assert progress["succeeded"] == 3, progress
            query = "query ($id: ID!) { processingRequest(id: $id) { finishedAt progress { succeeded } } }"
            state = service.query(query, id=request)["processingRequest"]
            assert state["finishedAt"] is None, "the large request has ended: measure with more images"
            print(f"behind {count} images of {what}: {', '.join(f'{wait:.2f} s' for wait in waits)}; "
                  f"{state['progress']['succeeded']} of the large request had ended", flush=True)


def measure_tenants(halftone, files, requests=50, images=40):
    """Each tenant has more images than can end before both have uploaded."""
    with origin(0.5, files) as host, temporary_directory() as directory:
        with serve(halftone, directory, "--allow-net", "127.0.0.0/8", "--no-reuse", "--downloads", "16") as service:
            many, one = (new_key(halftone, service, tenant) for tenant in ("many", "one"))
            uploaded = [service.upload(catalogue(host, images), many)[0] for _ in range(requests)]
            ended = sum(service.progress(request, many)["succeeded"] for request in uploaded)
            single = service.upload(catalogue(host, 4 * images), one)[0]
            assert service.finished(single, every=0.02, key=one)["succeeded"] == 4 * images
            of_many = sum(service.progress(request, many)["succeeded"] for request in uploaded) - ended
            assert of_many < requests * images - ended, "all of them have ended: measure with more images"
            print(f"while {4 * images} images of a tenant with one request ended, so did {of_many} of a tenant with {requests}")


def new_key(halftone, service, tenant):
    command = [halftone, "keys", "create", "--name", tenant, "--tenant", tenant, "--data-dir", service.data_dir]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main():
    files = photographs(sys.argv[1])
    halftone = sys.argv[2] if len(sys.argv) > 2 else ROOT / "target/dist/halftone"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
    measure(halftone, files, "a host that takes 10 s for each", 10, count)
    measure(halftone, files, "a fast host", 0, count)
    measure_tenants(halftone, files)


main()
