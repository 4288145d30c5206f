"""Orders and their executions in one transaction, by psycopg and by SQLAlchemy."""

import os
import sys
from decimal import Decimal

# psycopg
import psycopg
from psycopg.types.json import Json


def place_order(connection: psycopg.Connection, number: int, price: Decimal) -> str:
    with connection.transaction():
        connection.execute("INSERT INTO orders (number, price) VALUES (%s, %s)", (number, price))
        row = connection.execute(
            "SELECT stent.dispatch('ship', %s, %s)",
            (Json([number, str(price)]), Json({"idempotency_key": f"order-{number}", "queue": "shipping"})),
        ).fetchone()
        return row[0]


# SQLAlchemy
from sqlalchemy import JSON, Numeric, create_engine, func, select, type_coerce
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    number: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[Decimal] = mapped_column(Numeric)


def order_by_orm(session: Session, number: int, price: Decimal) -> str:
    session.add(Order(number=number, price=price))
    ship = func.stent.dispatch(
        "ship",
        type_coerce([number, str(price)], JSON),
        type_coerce({"idempotency_key": f"order-{number}"}, JSON),
    )
    execution = session.scalar(select(ship))
    session.commit()
    return execution


# the test's part
def main(url: str) -> None:
    # Sessions of this program find the store by its usual name.
    with psycopg.connect(url, autocommit=True) as connection:
        one = place_order(connection, 1, Decimal("2.50"))
        assert place_order_again(connection) == one
        try:
            connection.execute("SELECT stent.dispatch('ship', %s, %s)", ("[]", '{"priority": "high"}'))
        except psycopg.errors.InvalidParameterValue as why:
            assert why.diag.column_name == "priority" and why.diag.message_detail == "STENT_E_INVALID", why
        try:
            connection.execute("SELECT stent.dispatch('ship', %s, %s)", ("[7]", '{"idempotency_key": "order-1"}'))
        except psycopg.errors.UniqueViolation as why:
            assert why.diag.message_detail == "STENT_E_CONFLICT", why
        # Prepared on the server, and again and again.
        for _ in range(8):
            connection.execute("SELECT stent.dispatch('ship', %s)", ('["p"]',), prepare=True)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with Session(engine) as session:
        two = order_by_orm(session, 2, Decimal("3.25"))
        session.add(Order(number=2, price=Decimal(1)))
        lost = session.scalar(select(func.stent.dispatch("ship", '["lost"]')))
        try:
            session.commit()
            raise SystemExit("the same order twice")
        except Exception as why:
            assert "UniqueViolation" in str(why), why
            session.rollback()
        session.execute(select(func.stent.signal(two, "hurry", type_coerce({"by": 1}, JSON), type_coerce({"id": "a"}, JSON))))
        session.execute(select(func.stent.cancel(one, "not in stock")))
        session.commit()
    print(one, two, lost)


def place_order_again(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT stent.dispatch('ship', %s, %s)", ('[1, "2.50"]', '{"idempotency_key": "order-1"}'))
    return row.fetchone()[0]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.environ["DATABASE_URL"])
