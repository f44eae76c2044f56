#!/usr/bin/env python3
"""Measures a built Halftone on CSVs of its own making:  bench/csv.py [target/dist/halftone]

Checks a million rows, uploads 100,000 rows with 200,000 URLs three times, and downloads the results of the last one
with every image given an output. Times are wall-clock; CPU is the user and system time of the Halftone process, beside
it that of its database; memory is how far the process's peak rose (VmHWM). Linux only; the database is one Halftone makes for
itself, in a temporary directory, so PostgreSQL's programs and psql must be installed.
"""

import http.client
import os
import subprocess
import sys
import time

from service import ROOT, cpu, forget_peak, memory, serve, temporary_directory

ROWS, URLS_PER_ROW, CHECKED_ROWS = 100_000, 2, 1_000_000
RESULTS = "query ($id: ID!) { processingRequest(id: $id) { %s } }" % " ".join(
    f"{kind}: result(kind: {kind}) {{ url }}" for kind in ["OUTPUT_CSV", "DETAIL_CSV", "FAILED_ROWS_CSV", "UPDATED_CSV"]
)
# What a finished request looks like, without the work.
SUCCEED = """UPDATE images SET status = 'SUCCEEDED', outcome = 'COMPRESSED', source_format = 'JPEG', source_bytes = 200000,
    output_format = 'JPEG', output_bytes = 80000, output_sha256 = decode(repeat('00', 32), 'hex'), attempt_count = 1,
    output_key = request_id || '/' || id || '/compressed_view-' || position || '.jpg', finished_at = now(),
    receipt = '{"quality": 50, "score": 81.3, "target_met": true, "encodes_tried": 1, "decision": "Recompressed."}';
    DELETE FROM jobs; ANALYZE;"""


def catalogue(path, rows):
    with open(path, "wb") as out:
        subprocess.run([ROOT / "bench/catalogue.py", str(rows), str(URLS_PER_ROW)], stdout=out, check=True)
    return path.stat().st_size


def check(halftone, path):
    for options in [], ["--json"]:
        process = subprocess.Popen([halftone, "check", path, "--max-csv-bytes", "1GiB", "--max-images", "10000000", *options],
                                   stdout=subprocess.DEVNULL)
        began = time.monotonic()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, process.returncode
        seconds, used = time.monotonic() - began, usage.ru_utime + usage.ru_stime
        print(f"check {' '.join(options):6} {seconds:6.2f} s, {used:6.2f} s of CPU, peak {usage.ru_maxrss / 1024:.1f} MiB")


def download(address, url, headers):
    connection = http.client.HTTPConnection(address)
    connection.request("GET", url.partition(address)[2], headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    size = 0
    while block := answer.read(1 << 20):
        size += len(block)
    return size


def measured(service, what, run):
    forget_peak(service.pid)
    before, began = memory(service.pid, "VmRSS"), time.monotonic()
    used, theirs = cpu(service.pid), service.database_cpu()
    result = run()
    seconds, peak = time.monotonic() - began, memory(service.pid, "VmHWM")
    used, theirs = cpu(service.pid) - used, service.database_cpu() - theirs
    print(f"{what:22} {seconds:6.2f} s, {used:5.2f} s of CPU ({used / ROWS * 1e6:.1f} µs a row), database {theirs:5.2f} s, "
          f"{peak - before:.1f} MiB over {before:.1f}", flush=True)
    return result


def upload(service, csv):
    request, total = service.upload(csv)
    assert total == ROWS * URLS_PER_ROW, total
    return request


def main():
    halftone = sys.argv[1] if len(sys.argv) == 2 else ROOT / "target/dist/halftone"
    with temporary_directory() as directory:
        size = catalogue(directory / "million.csv", CHECKED_ROWS)
        print(f"{CHECKED_ROWS} rows, {size / 1e6:.1f} MB")
        check(halftone, directory / "million.csv")
        (directory / "million.csv").unlink()
        size = catalogue(directory / "catalogue.csv", ROWS)
        print(f"{ROWS} rows, {ROWS * URLS_PER_ROW} URLs, {size / 1e6:.1f} MB")
        csv = (directory / "catalogue.csv").read_bytes()
        with serve(halftone, directory, "--compressions", "0") as service:
            for _ in range(3):
                request = measured(service, "upload", lambda: upload(service, csv))
            service.psql(SUCCEED)
            results = service.query(RESULTS, id=request)["processingRequest"]
            for kind, result in results.items():
                for headers in {}, {"Accept-Encoding": "gzip"}:
                    what = f"{kind} {'gzip' if headers else ''}"
                    size = measured(service, what, lambda: download(service.address, result["url"], headers))
                    print(f"{'':22} {size / 1e6:.1f} MB")


main()
