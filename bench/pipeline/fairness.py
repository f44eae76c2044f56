#!/usr/bin/env python3
"""How long three images wait behind 100,000:  bench/pipeline/fairness.py DIR [PROGRAM] [COUNT]

Uploads a catalogue on a host that takes 10 s for each answer, and in a second run one on a fast host; 5, 20 and 60 s
later three images of another fast host. Prints how long each three took from their upload to the end of their request.
"""

import pathlib
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


def main():
    files = photographs(sys.argv[1])
    halftone = sys.argv[2] if len(sys.argv) > 2 else ROOT / "target/dist/halftone"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
    measure(halftone, files, "a host that takes 10 s for each", 10, count)
    measure(halftone, files, "a fast host", 0, count)


main()
