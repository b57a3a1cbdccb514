"""The plain stack: FastAPI and async SQLAlchemy as their tutorials write it, on Groundwork's own tables.

PostgreSQL or SQLite by DATABASE_URL (with its driver), tokens by SECRET_KEY: all servers take the same ones.
"""

import base64
import hmac
import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

import bcrypt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.security import OAuth2PasswordBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, ConfigDict
from sqlalchemy import DateTime, ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

KEY = OctKey.import_key(os.environ["SECRET_KEY"])
NAME = "Groundwork"

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True)}


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    hashed_password: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool]


class Item(Base):
    __tablename__ = "example_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None]
    is_completed: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Credentials(BaseModel):
    email: str
    password: str


class ItemCreate(BaseModel):
    title: str
    description: str | None = None
    is_completed: bool = False


class ItemUpdate(BaseModel):
    title: str | None = None
    description: str | None = None
    is_completed: bool | None = None


class ItemResponse(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    user_id: int
    title: str
    description: str | None
    is_completed: bool
    created_at: datetime
    updated_at: datetime


def verify_password(password: str, hashed: str) -> bool:
    """Of Groundwork's hashes, which are in the table."""
    *_, parameters, salt, checksum = hashed.split("$")
    digest = hmac.new(salt.encode(), password.encode(), sha256).digest()
    rounds = parameters.rpartition("=")[2]
    return bcrypt.checkpw(base64.b64encode(digest), f"$2b${rounds}${salt}{checksum}".encode())


async def get_db() -> AsyncGenerator[AsyncSession]:
    async with sessions() as session:
        yield session


Db = Annotated[AsyncSession, Depends(get_db)]
Token = Annotated[str, Depends(OAuth2PasswordBearer("/api/v1/auth/login"))]


async def get_current_user(token: Token, db: Db) -> User:
    try:
        claims = jwt.decode(token, KEY, algorithms=["HS256"]).claims
        jwt.JWTClaimsRegistry(aud={"essential": True, "value": NAME}, exp={"essential": True}).validate(claims)
    except (JoseError, ValueError):
        raise HTTPException(401, "Could not validate credentials") from None
    user = await db.scalar(select(User).where(User.email == claims["sub"]))
    if user is None or not user.is_active:
        raise HTTPException(401, "Could not validate credentials")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


async def get_item(item_id: int, user: CurrentUser, db: Db) -> Item:
    item = await db.get(Item, item_id)
    if item is None:
        raise HTTPException(404, "Item not found")
    if item.user_id != user.id:
        raise HTTPException(403, "Not authorized")
    return item


OwnItem = Annotated[Item, Depends(get_item)]

app = FastAPI()


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/api/v1/auth/login")
async def login(body: Credentials, db: Db) -> dict[str, str]:
    user = await db.scalar(select(User).where(User.email == body.email))
    if user is None or not await run_in_threadpool(verify_password, body.password, user.hashed_password):
        raise HTTPException(401, "Incorrect email or password")
    expires = int(datetime.now(UTC).timestamp()) + 1800
    return {"access_token": jwt.encode({"alg": "HS256"}, {"sub": user.email, "aud": NAME, "exp": expires}, KEY)}


@app.post("/api/v1/items", status_code=201, response_model=ItemResponse)
async def create_item(body: ItemCreate, user: CurrentUser, db: Db) -> Item:
    now = datetime.now(UTC)
    item = Item(user_id=user.id, created_at=now, updated_at=now, **body.model_dump())
    db.add(item)
    await db.commit()
    await db.refresh(item)
    return item


@app.get("/api/v1/items", response_model=list[ItemResponse])
async def list_items(user: CurrentUser, db: Db, skip: int = 0, limit: int = 100) -> list[Item]:
    statement = select(Item).where(Item.user_id == user.id).order_by(Item.id).offset(skip).limit(limit)
    return list(await db.scalars(statement))


@app.get("/api/v1/items/{item_id}", response_model=ItemResponse)
async def read_item(item: OwnItem) -> Item:
    return item


@app.put("/api/v1/items/{item_id}", response_model=ItemResponse)
async def update_item(body: ItemUpdate, item: OwnItem, db: Db) -> Item:
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(item, name, value)
    item.updated_at = datetime.now(UTC)
    await db.commit()
    await db.refresh(item)
    return item
