"""SQLAlchemy's sessions begin, commit and roll back; what they dispatch goes with it."""

import json
import sys

from sqlalchemy import create_engine, event, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

path, library = sys.argv[1:]
engine = create_engine(f"sqlite:///{path}")


@event.listens_for(engine, "connect")
def load(connection, _record):
    # The module begins no transactions of its own: SQLAlchemy does, below.
    connection.isolation_level = None
    connection.enable_load_extension(True)
    connection.execute("SELECT load_extension(?, 'stent_sqlite_init')", [library])
    connection.enable_load_extension(False)


@event.listens_for(engine, "begin")
def begin(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str | None]


def counts() -> tuple[int, int]:
    with Session(engine) as session:
        found = session.execute(text("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM executions)"))
        return tuple(found.one())


Base.metadata.create_all(engine)
with Session(engine) as session, session.begin():
    order = Order()
    session.add(order)
    session.flush()
    order.job = session.scalar(select(func.stent_dispatch("ship", json.dumps([order.id]))))
assert counts() == (1, 1), counts()

with Session(engine) as session:
    session.scalar(select(func.stent_dispatch("ship")))
    session.add(Order())
    session.flush()
    session.rollback()
assert counts() == (1, 1), counts()

# The function stands in the INSERT itself, and in a savepoint that is given up.
with Session(engine) as session, session.begin():
    session.add(Order(job=func.stent_dispatch("ship", "[2]")))
    session.flush()
    inner = session.begin_nested()
    session.add(Order(job=func.stent_dispatch("ship", "[3]")))
    session.flush()
    inner.rollback()
assert counts() == (2, 2), counts()
print("good")
