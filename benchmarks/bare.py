"""What a start is compared with: FastAPI and async SQLAlchemy with three endpoints, as their tutorials write it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("sqlite+aiosqlite:///./bare.db")
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))


class ItemCreate(BaseModel):
    title: str


class ItemResponse(ItemCreate):
    id: int


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield


async def get_db() -> AsyncGenerator[AsyncSession]:
    async with sessions() as session:
        yield session


app = FastAPI(lifespan=lifespan)
Db = Annotated[AsyncSession, Depends(get_db)]


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/items", response_model=ItemResponse)
async def create_item(body: ItemCreate, db: Db) -> Item:
    item = Item(title=body.title)
    db.add(item)
    await db.commit()
    return item


@app.get("/items", response_model=list[ItemResponse])
async def list_items(db: Db) -> list[Item]:
    return list(await db.scalars(select(Item)))
