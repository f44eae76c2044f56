#!/usr/bin/env python3
"""Measures Halftone beside Flask, Celery, Redis and Pillow on the same images:  bench/pipeline/beside_celery.py DIR [PROGRAM] [COUNT]

The JPEGs of DIR come from a host on loopback, each under many URLs; by default 300 images, three times in turns: by Halftone,
by the stack with PostgreSQL, which keeps what Halftone keeps, and by the stack with nothing but Redis. Time and CPU (user and
system, of all processes but the host) are from the upload to the end. Needs redis-server and PostgreSQL; the Python packages
are installed into a folder that is removed at the end, unless PEERS_DIR names one to keep.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from common import HERE, catalogue, origin, photographs

from service import ROOT, children, cpu, serve, temporary_directory

ROUNDS = 3


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def tree_cpu(pid):
    """Seconds of a process and of all it has started."""
    seconds = 0.0
    with contextlib.suppress(OSError):
        seconds = cpu(pid, reaped=True)
    return seconds + sum(tree_cpu(child) for child in children(pid))


def python(directory):
    """A Python that has the stack."""
    program = directory / "celery/bin/python"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", directory / "celery"], check=True)
        packages = ["celery[redis]", "flask", "pillow", "psycopg[binary]", "requests", "sqlalchemy"]
        subprocess.run([program, "-m", "pip", "install", "--quiet", *packages], check=True)
    return program


def postgres_program(name):
    newest = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return shutil.which(name) or newest[-1]


@contextlib.contextmanager
def postgres(directory):
    """The address of a PostgreSQL with its own settings, and its process."""
    # It does not run as root.
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    data, port = directory / "postgres", free_port()
    data.mkdir()
    if user:
        shutil.chown(data, "postgres")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run([postgres_program("initdb"), "-D", data, "-U", "stack", "--auth", "trust"], check=True, **quiet, **user)
    process = subprocess.Popen([postgres_program("postgres"), "-D", data, "-p", str(port), "-k", data], **quiet, **user)
    try:
        yield f"postgresql+psycopg://stack@127.0.0.1:{port}/postgres", process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def stack(program, directory, database):
    """The address of the stack's API and its processes, once it answers."""
    redis, api = free_port(), free_port()
    outputs = directory / "outputs"
    outputs.mkdir()
    settings = {**os.environ, "STACK_REDIS": f"redis://127.0.0.1:{redis}/0", "STACK_OUTPUTS": str(outputs)}
    if database:
        settings["STACK_DATABASE"] = database
    options = {"cwd": HERE, "env": settings, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    commands = [
        ["redis-server", "--port", str(redis), "--save", "", "--dir", directory],
        [program, "celery_stack.py", str(api)],
        [program, "-m", "celery", "-A", "celery_stack", "worker", "--loglevel", "ERROR"],
    ]
    processes = []
    try:
        processes += [subprocess.Popen(command, **options) for command in commands]
        address = f"http://127.0.0.1:{api}"
        for _ in range(300):
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/status/none").read()
                break
        else:
            raise TimeoutError("the stack does not answer")
        yield address, processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def finish(address, csv):
    """Uploads and waits for the end."""
    body = b'--part\r\nContent-Disposition: form-data; name="file"; filename="catalogue.csv"\r\n\r\n' + csv + b"\r\n--part--\r\n"
    request = urllib.request.Request(f"{address}/upload", body, {"Content-Type": "multipart/form-data; boundary=part"})
    request = json.load(urllib.request.urlopen(request))["id"]
    while True:
        state = json.load(urllib.request.urlopen(f"{address}/status/{request}"))
        if state["done"] == state["total"]:
            return
        time.sleep(0.1)


def measure_stack(program, port, count, keeps):
    with contextlib.ExitStack() as cleanup:
        directory = cleanup.enter_context(temporary_directory())
        database, *server = cleanup.enter_context(postgres(directory)) if keeps else (None,)
        address, processes = cleanup.enter_context(stack(program, directory, database))
        processes = [*processes, *server]
        finish(address, catalogue(port, 10))
        before, began = sum(tree_cpu(process.pid) for process in processes), time.monotonic()
        finish(address, catalogue(port, count))
        seconds = time.monotonic() - began
        return seconds, sum(tree_cpu(process.pid) for process in processes) - before


def measure_halftone(halftone, port, count):
    with temporary_directory() as directory:
        with serve(halftone, directory, "--allow-net", "127.0.0.0/8", "--no-reuse") as service:
            service.finished(service.upload(catalogue(port, 10))[0])
            before, began = cpu(service.pid) + service.database_cpu(), time.monotonic()
            progress = service.finished(service.upload(catalogue(port, count))[0])
            seconds = time.monotonic() - began
            assert progress["succeeded"] == count, progress
            return seconds, cpu(service.pid) + service.database_cpu() - before


def main():
    files = photographs(sys.argv[1])
    halftone = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "target/dist/halftone"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    with contextlib.ExitStack() as cleanup:
        kept = os.environ.get("PEERS_DIR")
        peers = pathlib.Path(kept or cleanup.enter_context(tempfile.TemporaryDirectory()))
        program = python(peers)
        port = cleanup.enter_context(origin(0, files))
        print("| | time | images/s | CPU an image |\n|---|---|---|---|", flush=True)
        for _ in range(ROUNDS):
            figures = {
                "Halftone": measure_halftone(halftone, port, count),
                "Flask, Celery, Redis, PostgreSQL, Pillow": measure_stack(program, port, count, keeps=True),
                "Flask, Celery, Redis, Pillow": measure_stack(program, port, count, keeps=False),
            }
            for name, (seconds, used) in figures.items():
                print(f"| {name} | {seconds:.1f} s | {count / seconds:.0f} | {1000 * used / count:.1f} ms |", flush=True)
            ours, *theirs = (used for _, used in figures.values())
            ratios = ", ".join(f"{used / ours:.1f}" for used in theirs)
            print(f"| CPU of the two stacks ÷ ours | | | {ratios} |", flush=True)


main()
