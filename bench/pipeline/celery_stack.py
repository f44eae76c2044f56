"""The usual way to build such a service in Python: Flask takes the CSV, Celery workers with Redis download each image with
requests and compress it with Pillow at quality 50. `python celery_stack.py PORT` is its API; `celery -A celery_stack worker`
its workers. STACK_REDIS is the address of Redis, STACK_OUTPUTS the folder of the outputs. With STACK_DATABASE, requests and
images are kept in PostgreSQL through SQLAlchemy, and the last image of a request writes its output CSV; without, Redis counts.
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
from sqlalchemy import ForeignKey, create_engine, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

ADDRESS = os.environ["STACK_REDIS"]
OUTPUTS = pathlib.Path(os.environ["STACK_OUTPUTS"])
DATABASE = os.environ.get("STACK_DATABASE")

# No results: how far a request has come is counted by the tasks, as its status needs it.
app = Celery("celery_stack", broker=ADDRESS)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=16, task_acks_late=True)
store = redis.Redis.from_url(ADDRESS)
session = requests.Session()
engine = create_engine(DATABASE) if DATABASE else None


class Base(DeclarativeBase):
    pass


class Request(Base):
    __tablename__ = "requests"
    id: Mapped[str] = mapped_column(primary_key=True)
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)


class Row(Base):
    __tablename__ = "images"
    request_id: Mapped[str] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]
    url: Mapped[str]
    output: Mapped[str | None]


@app.task
def compress(request, number, url):
    answer = session.get(url, timeout=30)
    answer.raise_for_status()
    image = Image.open(io.BytesIO(answer.content))
    output = f"{request}-{number}.jpg"
    image.save(OUTPUTS / output, "JPEG", quality=50)
    if engine:
        record(request, number, output)
    else:
        store.hset(f"output:{request}", url, output)
        store.hincrby(f"request:{request}", "done", 1)


def record(request, number, output):
    with Session(engine) as database, database.begin():
        database.get_one(Row, (request, number)).output = output
        count = update(Request).where(Request.id == request).values(done=Request.done + 1).returning(Request.done, Request.total)
        done, total = database.execute(count).one()
        if done == total:
            rows = database.scalars(select(Row).where(Row.request_id == request).order_by(Row.number))
            with open(OUTPUTS / f"{request}.csv", "w", newline="") as file:
                csv.writer(file).writerows((row.product, row.url, row.output) for row in rows)


api = flask.Flask(__name__)


@api.post("/upload")
def upload():
    rows = csv.reader(io.TextIOWrapper(flask.request.files["file"].stream, "utf-8"))
    next(rows)
    request = str(uuid.uuid4())
    images = [(row[1], url.strip()) for row in rows for url in row[2].split(",")]
    if engine:
        with Session(engine) as database, database.begin():
            database.add(Request(id=request, total=len(images)))
            database.flush()
            database.add_all(
                Row(request_id=request, number=number, product=product, url=url) for number, (product, url) in enumerate(images)
            )
    else:
        store.hset(f"request:{request}", mapping={"total": len(images), "done": 0})
    for number, (_, url) in enumerate(images):
        compress.delay(request, number, url)
    return {"id": request}


@api.get("/status/<request>")
def status(request):
    if engine:
        with Session(engine) as database:
            found = database.get(Request, request)
            return {"total": found.total, "done": found.done} if found else {}
    return {name.decode(): int(value) for name, value in store.hgetall(f"request:{request}").items()}


if __name__ == "__main__":
    if engine:
        Base.metadata.create_all(engine)
    api.run("127.0.0.1", int(sys.argv[1]), threaded=True)
