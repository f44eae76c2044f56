"""A Halftone of its own for a benchmark: started with a data directory and a database of its own, and asked over HTTP."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
UPLOAD = """mutation ($file: Upload!) { uploadCsv(input: {file: $file}) {
    processingRequest { id progress { total } } userErrors { message } } }"""


def cpu(pid, reaped=False):
    """Seconds of user and system time, also of its children that have ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15 if reaped else 13]) / os.sysconf("SC_CLK_TCK")


def children(pid):
    return subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()


def memory(pid, what):
    """MiB of VmHWM (the peak) or VmRSS (now)."""
    return int(re.search(rf"{what}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def forget_peak(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


class Service:
    """A running Halftone."""

    def __init__(self, process, address, data_dir):
        self.process, self.pid, self.address, self.data_dir = process, process.pid, address, data_dir

    def postmaster(self):
        return (self.data_dir / "postgres/data/postmaster.pid").read_text().split()[0]

    def database_cpu(self):
        """Seconds of all processes of its database, also of those that have ended."""
        live = 0.0
        for pid in children(self.postmaster()):
            with contextlib.suppress(OSError):
                live += cpu(pid)
        return live + cpu(self.postmaster(), reaped=True)

    def post(self, body, content_type="application/json", key=None):
        connection = http.client.HTTPConnection(self.address)
        headers = {"Content-Type": content_type, "GraphQL-Preflight": "1"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        connection.request("POST", "/graphql", body, headers)
        answer = json.load(connection.getresponse())
        assert "errors" not in answer, answer
        return answer["data"]

    def query(self, query, key=None, **variables):
        return self.post(json.dumps({"query": query, "variables": variables}), key=key)

    def upload(self, csv, key=None):
        """The id of the new request, and how many images it has."""
        operations = json.dumps({"query": UPLOAD, "variables": {"file": None}})
        parts = {"operations": operations, "map": '{"0": ["variables.file"]}'}
        body = b"".join(
            f'--part\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode() for name, text in parts.items()
        )
        body += b'--part\r\nContent-Disposition: form-data; name="0"; filename="catalogue.csv"\r\n\r\n' + csv + b"\r\n--part--\r\n"
        payload = self.post(body, "multipart/form-data; boundary=part", key)["uploadCsv"]
        assert payload["userErrors"] == [], payload
        return payload["processingRequest"]["id"], payload["processingRequest"]["progress"]["total"]

    def state(self, request, key=None):
        query = "query ($id: ID!) { processingRequest(id: $id) { finishedAt progress { succeeded failed total } } }"
        return self.query(query, key, id=request)["processingRequest"]

    def progress(self, request, key=None):
        return self.state(request, key)["progress"]

    def finished(self, request, every=0.1, key=None):
        """Its progress, once it has ended."""
        while True:
            state = self.state(request, key)
            if state["finishedAt"]:
                return state["progress"]
            time.sleep(every)

    def psql(self, statement):
        """What the database answers, a row a line."""
        command = ["psql", "-qAt", "-h", self.data_dir / "postgres/run", "-U", "halftone", "halftone", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run([*command, "-c", statement], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def temporary_directory():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="halftone-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    directory.chmod(0o755)  # Started as root, Halftone runs its database as another user.
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def serve(halftone, directory, *options):
    """Halftone in this directory, once it is ready."""
    data_dir, log = directory / "data", directory / "log"
    with open(log, "wb") as out:
        process = subprocess.Popen([halftone, "serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir, *options], stderr=out)
    try:
        for _ in range(600):
            time.sleep(0.1)
            if ready := re.search(r"ready at http://(\S+)", log.read_text()):
                break
            assert process.poll() is None, log.read_text()
        else:
            raise TimeoutError("Halftone does not become ready")
        yield Service(process, ready[1], data_dir)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
