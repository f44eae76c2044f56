#!/usr/bin/env python3
"""Measures a built Halftone on CSVs of its own making:  bench/csv.py [target/dist/halftone]

Checks a million rows, uploads 100,000 rows with 200,000 URLs three times, and downloads the results of the last one
with every image given an output. Times are wall-clock; CPU is the user and system time of the Halftone process, beside
it that of its database; memory is how far the process's peak rose (VmHWM). Linux only; the database is one Halftone makes for
itself, in a temporary directory, so PostgreSQL's programs and psql must be installed.
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS, URLS_PER_ROW, CHECKED_ROWS = 100_000, 2, 1_000_000
UPLOAD = """mutation ($file: Upload!) { uploadCsv(input: {file: $file}) {
    processingRequest { id progress { total } } userErrors { message } } }"""
RESULTS = "query ($id: ID!) { processingRequest(id: $id) { %s } }" % " ".join(
    f"{kind}: result(kind: {kind}) {{ url }}" for kind in ["OUTPUT_CSV", "DETAIL_CSV", "FAILED_ROWS_CSV"]
)
# What a finished request looks like, without the work.
SUCCEED = """UPDATE images SET status = 'SUCCEEDED', outcome = 'COMPRESSED', source_format = 'JPEG', source_bytes = 200000,
    output_format = 'JPEG', output_bytes = 80000, output_sha256 = decode(repeat('00', 32), 'hex'), attempt_count = 1,
    output_key = request_id || '/' || id || '/compressed_view-' || position || '.jpg', finished_at = now(),
    receipt = '{"quality": 50, "score": 81.3, "target_met": true, "encodes_tried": 1, "decision": "Recompressed."}';
    DELETE FROM jobs; ANALYZE;"""


def cpu(pid):
    """Seconds of user and system time."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def database_cpu(data_dir):
    """The same of the database's processes that are still there."""
    postmaster = (data_dir / "postgres/data/postmaster.pid").read_text().split()[0]
    children = subprocess.run(["pgrep", "-P", postmaster], capture_output=True, text=True, check=True).stdout.split()
    return sum(cpu(pid) for pid in children if pathlib.Path(f"/proc/{pid}").exists())


def memory(pid, what):
    """MiB of VmHWM (the peak) or VmRSS (now)."""
    return int(re.search(rf"{what}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def forget_peak(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


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


def post(address, body, content_type):
    connection = http.client.HTTPConnection(address)
    connection.request("POST", "/graphql", body, {"Content-Type": content_type, "GraphQL-Preflight": "1"})
    answer = json.load(connection.getresponse())
    assert "errors" not in answer, answer
    return answer["data"]


def upload(address, csv):
    parts = {"operations": json.dumps({"query": UPLOAD, "variables": {"file": None}}), "map": '{"0": ["variables.file"]}'}
    body = b"".join(
        f'--part\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode() for name, text in parts.items()
    )
    body += b'--part\r\nContent-Disposition: form-data; name="0"; filename="catalogue.csv"\r\n\r\n' + csv + b"\r\n--part--\r\n"
    payload = post(address, body, "multipart/form-data; boundary=part")["uploadCsv"]
    assert payload["userErrors"] == [], payload
    assert payload["processingRequest"]["progress"]["total"] == ROWS * URLS_PER_ROW, payload
    return payload["processingRequest"]["id"]


def download(address, url, headers):
    connection = http.client.HTTPConnection(address)
    connection.request("GET", url.partition(address)[2], headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    size = 0
    while block := answer.read(1 << 20):
        size += len(block)
    return size


def measured(pid, data_dir, what, run):
    forget_peak(pid)
    before, used, theirs, began = memory(pid, "VmRSS"), cpu(pid), database_cpu(data_dir), time.monotonic()
    result = run()
    seconds, used, peak = time.monotonic() - began, cpu(pid) - used, memory(pid, "VmHWM")
    theirs = database_cpu(data_dir) - theirs
    print(f"{what:22} {seconds:6.2f} s, {used:5.2f} s of CPU ({used / ROWS * 1e6:.1f} µs a row), database {theirs:5.2f} s, "
          f"{peak - before:.1f} MiB over {before:.1f}", flush=True)
    return result


def serve(halftone, directory):
    """The process and its address, once it is ready."""
    data_dir = directory / "data"
    log = open(directory / "log", "wb")
    process = subprocess.Popen([halftone, "serve", "--compressions", "0", "--listen", "127.0.0.1:8099", "--data-dir", data_dir],
                               stderr=log)
    for _ in range(600):
        time.sleep(0.1)
        try:
            connection = http.client.HTTPConnection("127.0.0.1:8099")
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return process, "127.0.0.1:8099", data_dir
        except OSError:
            assert process.poll() is None, (directory / "log").read_text()
    raise TimeoutError("Halftone does not become ready")


def main():
    halftone = sys.argv[1] if len(sys.argv) == 2 else ROOT / "target/dist/halftone"
    directory = pathlib.Path(tempfile.mkdtemp(prefix="halftone-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    directory.chmod(0o755)  # Started as root, Halftone runs its database as another user.
    try:
        size = catalogue(directory / "million.csv", CHECKED_ROWS)
        print(f"{CHECKED_ROWS} rows, {size / 1e6:.1f} MB")
        check(halftone, directory / "million.csv")
        (directory / "million.csv").unlink()
        size = catalogue(directory / "catalogue.csv", ROWS)
        print(f"{ROWS} rows, {ROWS * URLS_PER_ROW} URLs, {size / 1e6:.1f} MB")
        csv = (directory / "catalogue.csv").read_bytes()
        process, address, data_dir = serve(halftone, directory)
        try:
            for _ in range(3):
                request = measured(process.pid, data_dir, "upload", lambda: upload(address, csv))
            psql = ["psql", "-q", "-h", data_dir / "postgres/run", "-U", "halftone", "halftone", "-v", "ON_ERROR_STOP=1"]
            subprocess.run([*psql, "-c", SUCCEED], check=True)
            body = json.dumps({"query": RESULTS, "variables": {"id": request}})
            results = post(address, body, "application/json")["processingRequest"]
            for kind, result in results.items():
                for headers in {}, {"Accept-Encoding": "gzip"}:
                    what = f"{kind} {'gzip' if headers else ''}"
                    size = measured(process.pid, data_dir, what, lambda: download(address, result["url"], headers))
                    print(f"{'':22} {size / 1e6:.1f} MB")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    finally:
        shutil.rmtree(directory)


main()
