"""The services of one process: built once, from its settings."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from app.auth.hashing import PasswordHasher
from app.auth.identity_cache import IdentityCache
from app.auth.verified_tokens import VerifiedTokens
from app.core.cache import Cache
from app.core.caching.rows import CachingReader
from app.core.config import Settings
from app.core.database import Database, close_in_time
from app.core.db.redis import RedisLink
from app.core.db.replication.replicas import Replicas
from app.core.limits.counters import Counters
from app.core.observability.metrics import Pools, RequestMetrics
from app.core.rate_limit import open_counters


@dataclass
class Services:
    settings: Settings
    database: Database
    redis: RedisLink | None
    cache: Cache
    replicas: Replicas | None
    identities: IdentityCache
    tokens: VerifiedTokens
    counters: Counters
    metrics: RequestMetrics
    hasher: PasswordHasher

    @property
    def engines(self) -> dict[str, AsyncEngine]:
        """All of them, by what each is for."""
        replicas = self.replicas.watch.replicas if self.replicas is not None else []
        numbered = {f"replica-{number}": replica.engine for number, replica in enumerate(replicas, 1)}
        return {"transactions": self.database.engine, "reads": self.database.read_engine, **numbered}

    def pools(self) -> Pools:
        pools = {name: engine.pool for name, engine in self.engines.items()}
        sizes = {name: (pool.checkedout(), pool.size()) for name, pool in pools.items() if isinstance(pool, QueuePool)}
        fast = self.database.read.fast
        return sizes if fast is None else sizes | {"fast-reads": fast.in_use}

    async def close(self) -> None:
        """In bounded time: a server may not answer."""
        self.hasher.close()
        await self.cache.close()
        for service in (self.redis, self.replicas):
            if service is not None:
                await close_in_time(service.close())
        await self.database.close()


def build(settings: Settings) -> Services:
    """Connects to nothing yet. Raises SettingsError when a library that the settings need is not installed."""
    metrics = RequestMetrics()
    redis = RedisLink(settings.redis_url) if settings.redis_url else None
    database = Database(settings)
    cache = Cache(settings, redis)
    cache.count_lookup = metrics.looked_up
    database.read = CachingReader(database.read, cache)
    identities = IdentityCache(settings.identity_cache_seconds)
    database.subscribe(identities.on_change, identities.concerns)
    database.subscribe(cache.on_change, cache.concerns)
    replicas = Replicas(settings, database) if settings.database_replica_urls else None
    if replicas is not None:
        database.reader_of = replicas.reader_of
        database.committed = replicas.note_write
    return Services(
        settings=settings,
        database=database,
        redis=redis,
        cache=cache,
        replicas=replicas,
        identities=identities,
        tokens=VerifiedTokens(settings),
        counters=open_counters(settings, redis),
        metrics=metrics,
        hasher=PasswordHasher(settings.bcrypt_rounds),
    )
