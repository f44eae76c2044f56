"""The usual way to build such a service in Python: Flask takes the CSV, Celery workers with Redis download each image with
requests and compress it with Pillow at quality 50. `python celery_stack.py PORT` is its API; `celery -A celery_stack worker`
its workers. STACK_REDIS is the address of Redis, STACK_OUTPUTS the folder of the outputs.
"""

import csv
import io
import os
import pathlib
import sys
import uuid

import flask
import redis
import requests
from celery import Celery
from PIL import Image

ADDRESS = os.environ["STACK_REDIS"]
OUTPUTS = pathlib.Path(os.environ["STACK_OUTPUTS"])

# No results: how far a request has come is counted by the tasks, as its status needs it.
app = Celery("celery_stack", broker=ADDRESS)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=16, task_acks_late=True)
store = redis.Redis.from_url(ADDRESS)
session = requests.Session()


@app.task
def compress(request, number, url):
    answer = session.get(url, timeout=30)
    answer.raise_for_status()
    image = Image.open(io.BytesIO(answer.content))
    image.save(OUTPUTS / f"{request}-{number}.jpg", "JPEG", quality=50)
    store.hset(f"output:{request}", url, f"{request}-{number}.jpg")
    store.hincrby(f"request:{request}", "done", 1)


api = flask.Flask(__name__)


@api.post("/upload")
def upload():
    rows = csv.reader(io.TextIOWrapper(flask.request.files["file"].stream, "utf-8"))
    next(rows)
    request = str(uuid.uuid4())
    urls = [url.strip() for row in rows for url in row[2].split(",")]
    store.hset(f"request:{request}", mapping={"total": len(urls), "done": 0})
    for number, url in enumerate(urls):
        compress.delay(request, number, url)
    return {"id": request}


@api.get("/status/<request>")
def status(request):
    return {name.decode(): int(value) for name, value in store.hgetall(f"request:{request}").items()}


if __name__ == "__main__":
    api.run("127.0.0.1", int(sys.argv[1]), threaded=True)
